//! Test equipment: a real livekit-server of one's own, stopped by process id when the test ends, and its APIs.
#![allow(dead_code, missing_docs, clippy::panic)] // each test binary uses a part of it

pub mod clock;
pub mod proxy;
pub mod raw;
pub mod worker;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use livekit_token::{AccessToken, VideoGrants};
use roomhook::net::http::{HttpClient, HttpOptions};
use roomhook::net::ws;
use roomhook::net::ws::{WsOptions, WsReceiver, WsSender};
use serde_json::{json, Value};
use tempfile::TempDir;
use url::Url;

pub const API_KEY: &str = "devkey";
pub const API_SECRET: &str = "a-loopback-secret-of-thirty-two-bytes!";

/// A livekit-server on loopback ports of its own. Dropping it kills the process.
pub struct LiveKitServer {
    pub port: u16,
    folder: TempDir,
    process: Option<Child>,
    /// How long the log was when the process was started.
    logged_before: usize,
    http: HttpClient,
}

impl LiveKitServer {
    pub fn start() -> Self {
        LiveKitServer::logging("info")
    }

    /// One that also logs what it has heard from workers, the only sign that a load report has arrived.
    pub fn telling_what_it_hears() -> Self {
        LiveKitServer::logging("debug")
    }

    /// Waits until the server knows that a worker that was full has room again.
    pub async fn knows_of_room(&self) {
        self.log_line_with("worker status changed", "WS_AVAILABLE")
            .await;
    }

    fn logging(level: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_tcp_port();
        let udp_port = free_udp_port();
        let config = json!({
            "port": port,
            "bind_addresses": ["127.0.0.1"],
            "rtc": {
                "node_ip": "127.0.0.1",
                "use_external_ip": false,
                "enable_loopback_candidate": true,
                "interfaces": { "includes": ["lo"] },
                "tcp_port": free_tcp_port(),
                "udp_port": udp_port,
                // Without one of its own the server names public ones, and every participant looks them up.
                "stun_servers": [format!("127.0.0.1:{udp_port}")],
            },
            "keys": { API_KEY: API_SECRET },
            "logging": { "level": level },
        });
        // JSON is YAML, so no YAML writer is needed.
        std::fs::write(folder.path().join("livekit.yaml"), config.to_string()).expect("a config");
        let mut server = LiveKitServer {
            port,
            folder,
            process: None,
            logged_before: 0,
            http: http_client(),
        };
        server.launch();
        server
    }

    /// Starts the process again on the same ports, after `kill`.
    pub fn launch(&mut self) {
        assert!(self.process.is_none(), "the server runs already");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("a log file");
        let written = log.metadata().expect("its length").len();
        self.logged_before = usize::try_from(written).expect("a log that fits into memory");
        let mut child = Command::new(binary())
            .arg("--config")
            .arg(self.folder.path().join("livekit.yaml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("livekit-server starts");
        let give_up = Instant::now() + Duration::from_secs(15);
        while !answers_ok(self.port) {
            let ended = child.try_wait().expect("the process can be asked");
            if ended.is_some() || Instant::now() > give_up {
                let _ = child.kill();
                panic!("livekit-server did not start:\n{}", self.log());
            }
            // Polling a foreign process for readiness; there is no event to wait for.
            std::thread::sleep(Duration::from_millis(20));
        }
        self.process = Some(child);
    }

    /// Ends the process at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        // Its kept-alive connections died with the server.
        self.http = http_client();
    }

    /// What the process that runs now has logged.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.log_path()).unwrap_or_default();
        log.get(self.logged_before..).unwrap_or_default().to_owned()
    }

    /// The first log line that contains both texts; waits up to 5 s for it.
    pub async fn log_line_with(&self, one: &str, other: &str) -> String {
        let give_up = Instant::now() + Duration::from_secs(5);
        loop {
            let log = self.log();
            let found = log
                .lines()
                .find(|line| line.contains(one) && line.contains(other));
            if let Some(line) = found {
                return line.to_owned();
            }
            assert!(Instant::now() < give_up, "no `{other}` in the log:\n{log}");
            // A file that another process writes; there is no event to wait for.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn url(&self) -> Url {
        Url::parse(&format!("ws://127.0.0.1:{}", self.port)).expect("a URL")
    }

    pub fn http_url(&self) -> Url {
        Url::parse(&format!("http://127.0.0.1:{}", self.port)).expect("a URL")
    }

    /// A token that joins `room` as `identity`.
    pub fn join_token(&self, room: &str, identity: &str) -> String {
        AccessToken::with_api_key(API_KEY, API_SECRET)
            .with_ttl(Duration::from_secs(600))
            .with_identity(identity)
            .with_grants(VideoGrants {
                room_join: true,
                room: room.to_owned(),
                can_update_own_metadata: Some(true),
                ..Default::default()
            })
            .to_jwt()
            .expect("a token")
    }

    /// A token for the server APIs of one room.
    pub fn api_token(&self, room: &str) -> String {
        AccessToken::with_api_key(API_KEY, API_SECRET)
            .with_ttl(Duration::from_secs(600))
            .with_grants(VideoGrants {
                room_admin: true,
                room_create: true,
                room_list: true,
                room: room.to_owned(),
                ..Default::default()
            })
            .to_jwt()
            .expect("a token")
    }

    /// One Twirp call; panics with the server's answer unless it is 200.
    pub async fn call(&self, service: &str, method: &str, room: &str, body: Value) -> Value {
        let (status, answer) = self.try_call(service, method, room, body).await;
        assert_eq!(status, 200, "{service}/{method}: {answer}");
        answer
    }

    pub async fn try_call(
        &self,
        service: &str,
        method: &str,
        room: &str,
        body: Value,
    ) -> (u16, Value) {
        let url = self
            .http_url()
            .join(&format!("/twirp/livekit.{service}/{method}"))
            .expect("a URL");
        let bearer = format!("Bearer {}", self.api_token(room));
        let answer = self
            .http
            .post_json(
                &url,
                &[("Authorization".to_owned(), bearer)],
                Bytes::from(body.to_string()),
                Duration::from_secs(10),
            )
            .await
            .expect("the server answers");
        let body = answer.body.expect("an answer below the limit");
        (
            answer.status,
            serde_json::from_slice(&body).unwrap_or_default(),
        )
    }

    /// Waits until the server counts a worker of this name. It tells a worker that it is registered a moment before that,
    /// and a dispatch in between is lost.
    pub async fn counts_worker(&self, agent_name: &str) {
        let name = format!("\"agentName\": \"{agent_name}\"");
        self.log_line_with("worker registered", &name).await;
    }

    /// Returns the dispatch's id. Creates the room where there is none, and waits for a worker of this name.
    pub async fn create_dispatch(&self, room: &str, agent_name: &str, metadata: &str) -> String {
        self.counts_worker(agent_name).await;
        self.create_dispatch_now(room, agent_name, metadata).await
    }

    /// A dispatch whether there is a worker or not.
    pub async fn create_dispatch_now(
        &self,
        room: &str,
        agent_name: &str,
        metadata: &str,
    ) -> String {
        let body = json!({ "room": room, "agent_name": agent_name, "metadata": metadata });
        let answer = self
            .call("AgentDispatchService", "CreateDispatch", room, body)
            .await;
        answer["id"].as_str().expect("a dispatch id").to_owned()
    }

    pub async fn list_dispatches(&self, room: &str) -> Value {
        let body = json!({ "room": room });
        self.call("AgentDispatchService", "ListDispatch", room, body)
            .await
    }

    pub async fn delete_dispatch(&self, room: &str, dispatch_id: &str) {
        let body = json!({ "room": room, "dispatch_id": dispatch_id });
        self.call("AgentDispatchService", "DeleteDispatch", room, body)
            .await;
    }

    pub async fn create_room(&self, room: &str) -> Value {
        let body = json!({ "name": room });
        self.call("RoomService", "CreateRoom", room, body).await
    }

    pub async fn delete_room(&self, room: &str) {
        let body = json!({ "room": room });
        self.call("RoomService", "DeleteRoom", room, body).await;
    }

    pub async fn list_participants(&self, room: &str) -> Vec<Value> {
        let body = json!({ "room": room });
        let answer = self
            .call("RoomService", "ListParticipants", room, body)
            .await;
        answer["participants"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }

    /// Joins a room as far as signalling goes, without media; leaves when dropped.
    pub async fn join(&self, room: &str, identity: &str) -> (WsSender, WsReceiver) {
        let mut url = self.url().join("/rtc").expect("a URL");
        url.query_pairs_mut()
            .append_pair("access_token", &self.join_token(room, identity))
            .append_pair("protocol", "15");
        ws::connect(&url, &[], &WsOptions::default())
            .await
            .expect("the server lets it in")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("livekit.log")
    }
}

impl Drop for LiveKitServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn http_client() -> HttpClient {
    HttpClient::new(&HttpOptions::default()).expect("an HTTP client")
}

fn binary() -> PathBuf {
    let path = std::env::var_os("ROOMHOOK_LIVEKIT_SERVER").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/livekit-server"),
        PathBuf::from,
    );
    assert!(
        path.exists(),
        "no livekit-server at {}: run `npm run setup` first",
        path.display()
    );
    path
}

/// Whether `GET /` says `OK`.
fn answers_ok(port: u16) -> bool {
    let attempt = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    attempt().is_ok_and(|answer| answer.ends_with("OK"))
}

/// A port below the range from which the system gives ports to outgoing connections, one of which could otherwise take it
/// before the server binds it. No two calls of this process get the same one.
fn free_port(is_free: impl Fn(u16) -> bool) -> u16 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    loop {
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let step = std::process::id().wrapping_mul(97).wrapping_add(call) % 22_000;
        let port = 10_000 + step as u16;
        if is_free(port) {
            return port;
        }
    }
}

pub fn free_tcp_port() -> u16 {
    free_port(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
}

pub fn free_udp_port() -> u16 {
    free_port(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok())
}
