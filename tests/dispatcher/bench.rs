//! A dispatcher between a real livekit-server and programmable agents, and plain HTTP to its status endpoint.

use std::net::SocketAddr;
use std::time::Duration;

use roomhook::dispatcher::config::Config;
use roomhook::dispatcher::Dispatcher;
use roomhook::error::Error;
use serde_json::{json, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::receiver::{Receiver, SECRET};
use crate::support::{LiveKitServer, API_KEY, API_SECRET};

pub const AGENT: &str = "greeter";

/// Options for one agent with these endpoints, retried quickly; `more` is laid over them.
pub fn options(livekit: &str, urls: &[String], more: Value) -> Value {
    let endpoints: Vec<Value> = urls
        .iter()
        .map(|url| json!({ "url": url, "secret": SECRET, "timeoutMs": 2_000 }))
        .collect();
    let mut options = json!({
        "livekit": { "url": livekit, "apiKey": API_KEY, "apiSecret": API_SECRET },
        "listen": "127.0.0.1:0",
        "store": ":memory:",
        "retry": { "initialWaitMs": 20, "maxWaitMs": 100 },
        "agents": [{ "name": AGENT, "jobTypes": ["JT_ROOM"], "endpoints": endpoints }],
    });
    merge(&mut options, more);
    options
}

fn merge(base: &mut Value, more: Value) {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            more.into_iter()
                .for_each(|(key, value)| merge(base.entry(key).or_insert(Value::Null), value));
        }
        (Value::Array(base), Value::Array(more)) => {
            base.iter_mut()
                .zip(more)
                .for_each(|(base, more)| merge(base, more));
        }
        (base, more) => *base = more,
    }
}

pub async fn start(options: &Value) -> Result<Dispatcher, Error> {
    let config = Config::from_options(&options.to_string()).expect("a configuration");
    Dispatcher::start(config).await
}

/// A server, a dispatcher, and what the dispatcher says.
pub struct Bench {
    pub server: LiveKitServer,
    pub dispatcher: Dispatcher,
    pub events: Vec<Value>,
}

impl Bench {
    pub async fn start(receivers: &[&Receiver], more: Value) -> Bench {
        let urls: Vec<String> = receivers.iter().map(|receiver| receiver.url()).collect();
        Bench::with_urls(&urls, more).await
    }

    pub async fn with_urls(urls: &[String], more: Value) -> Bench {
        Bench::on(LiveKitServer::start(), urls, more).await
    }

    pub async fn on(server: LiveKitServer, urls: &[String], more: Value) -> Bench {
        let dispatcher = start(&options(server.url().as_str(), urls, more))
            .await
            .expect("the dispatcher starts");
        Bench {
            server,
            dispatcher,
            events: Vec::new(),
        }
    }

    pub async fn dispatch(&self, room: &str) -> String {
        self.server.create_dispatch(room, AGENT, "{\"k\":1}").await
    }

    /// Waits for an event of this type, and keeps those before it too.
    pub async fn event(&mut self, kind: &str) -> Value {
        let wait = async {
            loop {
                let batch = self
                    .dispatcher
                    .next_events(1)
                    .await
                    .expect("the dispatcher lives");
                for event in batch {
                    let event = serde_json::to_value(event).expect("JSON");
                    self.events.push(event.clone());
                    if event["type"] == kind {
                        return event;
                    }
                }
            }
        };
        match tokio::time::timeout(Duration::from_secs(15), wait).await {
            Ok(event) => event,
            Err(_) => panic!("no {kind} within 15 s: {:#?}", self.events),
        }
    }

    /// The types of the events so far.
    pub fn kinds(&self) -> Vec<&str> {
        self.events
            .iter()
            .map(|event| event["type"].as_str().expect("a type"))
            .collect()
    }

    pub async fn status(&self, job_id: &str, bearer: &str, body: Value) -> Answer {
        report(self.dispatcher.address(), job_id, bearer, body).await
    }
}

pub async fn report(address: SocketAddr, job_id: &str, bearer: &str, body: Value) -> Answer {
    let head = format!("authorization: Bearer {bearer}\r\ncontent-type: application/json\r\n");
    let path = format!("/api/agents/jobs/{job_id}/status");
    http(address, "POST", &path, &head, body.to_string().as_bytes()).await
}

/// An answer as it came, without the `date` line.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub raw: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        let (_, body) = self.raw.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).expect("JSON")
    }
}

/// One request on a connection of its own.
pub async fn http(
    address: SocketAddr,
    method: &str,
    path: &str,
    head: &str,
    body: &[u8],
) -> Answer {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let length = body.len();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{head}content-length: {length}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    // A server that refuses early may close before it has read everything.
    let _ = stream.write_all(body).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).expect("text");
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or_else(|| panic!("{text}"));
    let lines: Vec<&str> = text
        .split("\r\n")
        .filter(|line| !line.starts_with("date:"))
        .collect();
    Answer {
        status,
        raw: lines.join("\r\n"),
    }
}
