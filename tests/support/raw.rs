//! The worker protocol by hand, against the server or as the server, for tests that must not rely on our own worker.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use livekit_protocol::server_message::Message as FromServer;
use livekit_protocol::worker_message::Message as FromWorker;
use livekit_protocol::*;
use livekit_token::{AccessToken, VideoGrants};
use prost::Message as _;
use roomhook::net::ws;
use roomhook::net::ws::{Frame, Outgoing, WsOptions, WsReceiver, WsSender};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::WebSocketStream;
use url::Url;

use super::{LiveKitServer, API_KEY, API_SECRET};

/// A worker that decides nothing.
pub struct RawWorker {
    sender: WsSender,
    receiver: WsReceiver,
}

impl RawWorker {
    /// Connects and registers for `JT_ROOM`.
    pub async fn registered(server: &LiveKitServer, agent_name: &str) -> Self {
        let token = AccessToken::with_api_key(API_KEY, API_SECRET)
            .with_grants(VideoGrants {
                agent: true,
                ..Default::default()
            })
            .to_jwt()
            .expect("a token");
        let url = server.url().join("/agent").expect("a URL");
        let headers = [("Authorization".to_owned(), format!("Bearer {token}"))];
        let (sender, receiver) = ws::connect(&url, &headers, &WsOptions::default())
            .await
            .expect("connected");
        let mut worker = RawWorker { sender, receiver };
        worker.send(FromWorker::Register(RegisterWorkerRequest {
            agent_name: agent_name.to_owned(),
            ..Default::default()
        }));
        assert!(matches!(worker.next().await, FromServer::Register(_)));
        worker
    }

    pub fn send(&self, message: FromWorker) {
        let message = WorkerMessage {
            message: Some(message),
        };
        let bytes = Bytes::from(message.encode_to_vec());
        self.sender.send(Outgoing::Binary(bytes)).expect("queued");
    }

    pub async fn next(&mut self) -> FromServer {
        // Pings come in between, so the time is that of all frames.
        let message = async {
            loop {
                if let Frame::Binary(bytes) = self.receiver.next().await.expect("connected") {
                    let message = ServerMessage::decode(bytes).expect("protobuf");
                    return message.message.expect("a known message");
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(15), message)
            .await
            .expect("in time")
    }
}

/// A server that does what the test says.
pub struct RawServer {
    listener: TcpListener,
    pub url: Url,
}

impl RawServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let url = Url::parse(&format!("http://127.0.0.1:{port}")).expect("a URL");
        RawServer { listener, url }
    }

    /// Takes the next connection and its upgrade; with it comes the request's `Authorization`.
    pub async fn accept(&self) -> (RawPeer, String) {
        let (stream, _) = self.listener.accept().await.expect("a connection");
        let mut authorization = String::new();
        #[allow(clippy::result_large_err)] // the callback's type is the library's
        let look = |request: &Request, response: Response| {
            let value = request.headers().get("authorization");
            authorization = value
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned();
            Ok(response)
        };
        let socket = tokio_tungstenite::accept_hdr_async(stream, look)
            .await
            .expect("an upgrade");
        (RawPeer(socket), authorization)
    }

    /// Takes the next connection and confirms its registration.
    pub async fn accept_registered(&self) -> RawPeer {
        let (mut peer, _) = self.accept().await;
        assert!(matches!(peer.next().await, Some(FromWorker::Register(_))));
        peer.send(FromServer::Register(RegisterWorkerResponse {
            worker_id: "AW_fake".to_owned(),
            ..Default::default()
        }))
        .await;
        peer
    }
}

/// The server's end of one connection.
pub struct RawPeer(pub WebSocketStream<TcpStream>);

impl RawPeer {
    pub async fn send(&mut self, message: FromServer) {
        let message = ServerMessage {
            message: Some(message),
        };
        let bytes = Message::binary(message.encode_to_vec());
        self.0.send(bytes).await.expect("sent");
    }

    /// The worker's next message; `None` when it has gone.
    pub async fn next(&mut self) -> Option<FromWorker> {
        loop {
            if let Message::Binary(bytes) = self.0.next().await?.ok()? {
                return WorkerMessage::decode(bytes).expect("protobuf").message;
            }
        }
    }

    pub async fn offer(&mut self, job_id: &str) {
        self.send(FromServer::Availability(AvailabilityRequest {
            job: Some(job(job_id)),
            resuming: false,
        }))
        .await;
    }
}

pub fn job(job_id: &str) -> Job {
    Job {
        id: job_id.to_owned(),
        room: Some(Room {
            sid: "RM_1".to_owned(),
            name: "kitchen".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}
