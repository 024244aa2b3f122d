//! Where a header may go: to which providers and under which base URLs. It fails closed: a scope that names base URLs
//! never covers a call whose base URL is unknown.

#![forbid(unsafe_code)]

use url::Url;

/// Limits headers to some providers or base URLs. Empty lists do not limit.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Names; `openai` also covers the AI SDK's `openai.chat`.
    pub providers: Vec<String>,
    /// A call is covered when its base URL has the same origin and lies at or below the path.
    pub base_urls: Vec<Url>,
}

/// The call that headers are wanted for.
#[derive(Clone, Debug, Default)]
pub struct Target {
    provider: Option<String>,
    base_url: Option<Url>,
}

impl Target {
    /// A base URL that is none counts as unknown.
    pub fn new(provider: Option<String>, base_url: Option<&str>) -> Self {
        let base_url = base_url.and_then(|text| Url::parse(text).ok());
        Target { provider, base_url }
    }
}

impl Scope {
    /// Whether a call lies within.
    pub fn covers(&self, target: &Target) -> bool {
        let named = self.providers.is_empty()
            || target.provider.as_deref().is_some_and(|provider| {
                self.providers
                    .iter()
                    .any(|name| is_or_begins(provider, name, '.'))
            });
        let placed = self.base_urls.is_empty()
            || target
                .base_url
                .as_ref()
                .is_some_and(|url| self.base_urls.iter().any(|base| lies_below(url, base)));
        named && placed
    }
}

fn lies_below(url: &Url, base: &Url) -> bool {
    let directory = |url: &Url| url.path().trim_end_matches('/').to_owned();
    url.origin() == base.origin() && is_or_begins(&directory(url), &directory(base), '/')
}

/// Whether a text is a prefix, or begins with it and a separator.
fn is_or_begins(text: &str, prefix: &str, separator: char) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(providers: &[&str], base_urls: &[&str]) -> Scope {
        Scope {
            providers: providers.iter().map(|name| (*name).to_owned()).collect(),
            base_urls: base_urls
                .iter()
                .map(|url| Url::parse(url).unwrap())
                .collect(),
        }
    }

    #[test]
    fn a_provider_covers_its_kinds_and_no_other_name() {
        let scope = scope(&["openai"], &[]);
        let covers = |provider: &str| scope.covers(&Target::new(Some(provider.to_owned()), None));
        assert!(covers("openai") && covers("openai.chat"));
        assert!(!covers("openai-clone") && !covers("open") && !covers(""));
        assert!(!scope.covers(&Target::default()));
    }

    #[test]
    fn a_base_url_covers_what_lies_at_or_below_it() {
        let scope = scope(&[], &["https://gateway.example/v1"]);
        let covers = |url: &str| scope.covers(&Target::new(None, Some(url)));
        for url in [
            "https://gateway.example/v1",
            "https://gateway.example:443/v1/",
            "https://gateway.example/v1/beta",
        ] {
            assert!(covers(url), "{url}");
        }
        for url in [
            "https://gateway.example/v10",
            "https://gateway.example/",
            "http://gateway.example/v1",
            "https://gateway.example.evil/v1",
            "https://gateway.example:444/v1",
            "nonsense",
        ] {
            assert!(!covers(url), "{url}");
        }
        assert!(!scope.covers(&Target::default()));
    }
}
