//! Where a job's reports go when the dispatcher did not say: the server's own address, the proposal's path.

use url::Url;

/// The HTTP address of a LiveKit server: `ws:` becomes `http:`, `wss:` becomes `https:`; `None` for other schemes.
pub fn base_of_server(server_url: &Url) -> Option<Url> {
    let scheme = match server_url.scheme() {
        "ws" | "http" => "http",
        "wss" | "https" => "https",
        _ => return None,
    };
    // `Url::set_scheme` is fine between the special schemes, and these four are.
    let mut base = server_url.clone();
    base.set_scheme(scheme).ok()?;
    Some(base)
}

/// `{base}/api/agents/jobs/{job_id}/status`, the id escaped; `None` for a base that cannot have a path.
pub fn job_url(base: &Url, job_id: &str) -> Option<Url> {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.path_segments_mut()
        .ok()?
        .pop_if_empty()
        .extend(["api", "agents", "jobs", job_id, "status"]);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_url_follows_from_the_server_url() {
        for (server, expected) in [
            (
                "wss://x.livekit.cloud",
                "https://x.livekit.cloud/api/agents/jobs/AJ_1/status",
            ),
            (
                "ws://127.0.0.1:7880/",
                "http://127.0.0.1:7880/api/agents/jobs/AJ_1/status",
            ),
            (
                "https://host/below/?a=b#c",
                "https://host/below/api/agents/jobs/AJ_1/status",
            ),
        ] {
            let base = base_of_server(&Url::parse(server).unwrap()).unwrap();
            assert_eq!(job_url(&base, "AJ_1").unwrap().as_str(), expected);
        }
        assert!(base_of_server(&Url::parse("ftp://host").unwrap()).is_none());
    }

    #[test]
    fn an_odd_job_id_stays_one_path_segment() {
        let base = Url::parse("http://host").unwrap();
        assert_eq!(
            job_url(&base, "../a b?c#d").unwrap().as_str(),
            "http://host/api/agents/jobs/..%2Fa%20b%3Fc%23d/status"
        );
    }
}
