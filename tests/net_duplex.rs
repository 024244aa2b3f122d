//! The duplex socket against peers that flood, fall silent, say goodbye and never do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use roomhook::net::duplex::{Duplex, DuplexOptions, End, Found, Incoming, Wake};
use roomhook::net::ws::{Outgoing, SendError};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::WebSocketStream;
use tokio_util::sync::CancellationToken;
use url::Url;

type Server = WebSocketStream<TcpStream>;

async fn pair(options: DuplexOptions) -> (Server, Duplex) {
    pair_with(options, Arc::new(|| {})).await
}

async fn pair_with(options: DuplexOptions, wake: Wake) -> (Server, Duplex) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let url = Url::parse(&format!("ws://127.0.0.1:{port}/stt")).expect("a URL");
    let accept = async {
        let (stream, _) = listener.accept().await.expect("a connection");
        tokio_tungstenite::accept_async(stream)
            .await
            .expect("an upgrade")
    };
    let (server, duplex) = tokio::join!(
        accept,
        Duplex::open(&url, &[], options, wake, CancellationToken::new())
    );
    (server, duplex.expect("connected"))
}

#[tokio::test]
async fn messages_go_both_ways_and_the_peers_close_code_is_told() {
    let (mut server, duplex) = pair(DuplexOptions::default()).await;
    duplex
        .send(Outgoing::Text("up".to_owned()))
        .expect("queued");
    assert_eq!(
        server.next().await.expect("one").expect("valid"),
        Message::text("up")
    );
    server.send(Message::text("down")).await.expect("sent");
    server.send(Message::binary(vec![7])).await.expect("sent");
    let goodbye = CloseFrame {
        code: CloseCode::Policy,
        reason: "no".into(),
    };
    server.close(Some(goodbye)).await.expect("closed");
    let mut seen = Vec::new();
    loop {
        let messages = duplex.next(16).await;
        if messages.is_empty() {
            break;
        }
        seen.extend(messages);
    }
    let expected = [
        Incoming::Text("down".to_owned()),
        Incoming::Binary(Bytes::from_static(&[7])),
    ];
    assert_eq!(seen, expected);
    assert_eq!(duplex.end(), Some(End::Peer(Some(1008))));
    assert_eq!(duplex.send(Outgoing::Ping), Err(SendError::Ended));
}

#[tokio::test]
async fn a_consumer_that_does_not_read_makes_the_peer_wait_and_loses_nothing() {
    const SENT: u32 = 2_000;
    let (mut server, duplex) = pair(DuplexOptions {
        receive_queue: 4,
        // Far shorter than the stall: waiting for the consumer must not look like a silent peer.
        ping_interval: Duration::from_millis(20),
        pong_timeout: Duration::from_millis(20),
        ..DuplexOptions::default()
    })
    .await;
    let mut writer = tokio::spawn(async move {
        for at in 0..SENT {
            let mut payload = vec![0; 16 * 1024];
            payload[..4].copy_from_slice(&at.to_le_bytes());
            server.send(Message::binary(payload)).await.expect("sent");
        }
        server.close(None).await.expect("closed");
    });
    // 32 MB do not fit into the socket buffers: the peer is stuck while nobody reads.
    let stuck = timeout(Duration::from_millis(200), &mut writer).await;
    assert!(stuck.is_err());
    let mut next = 0u32;
    loop {
        let messages = duplex.next(3).await;
        if messages.is_empty() {
            break;
        }
        assert!(messages.len() <= 3);
        for message in messages {
            let Incoming::Binary(bytes) = message else {
                panic!("only bytes were sent");
            };
            assert_eq!(bytes[..4], next.to_le_bytes());
            next += 1;
        }
    }
    assert_eq!(next, SENT);
    writer.await.expect("the peer wrote everything");
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_ends_the_socket() {
    // Nobody polls the server's side, so no pong is ever sent.
    let (_server, duplex) = pair(DuplexOptions {
        ping_interval: Duration::from_millis(30),
        pong_timeout: Duration::from_millis(30),
        ..DuplexOptions::default()
    })
    .await;
    assert_eq!(duplex.next(1).await, []);
    assert_eq!(duplex.end(), Some(End::Silent));
}

#[tokio::test]
async fn a_peer_that_answers_pings_is_kept() {
    let (mut server, duplex) = pair(DuplexOptions {
        ping_interval: Duration::from_millis(20),
        pong_timeout: Duration::from_secs(30),
        ..DuplexOptions::default()
    })
    .await;
    for _ in 0..3 {
        let message = server.next().await.expect("a message").expect("valid");
        assert_eq!(message, Message::Ping(Bytes::new()));
    }
    assert_eq!(duplex.end(), None);
}

#[tokio::test]
async fn close_ends_within_its_limit_although_the_peer_never_answers() {
    let (_server, duplex) = pair(DuplexOptions {
        close_timeout: Duration::from_millis(100),
        ..DuplexOptions::default()
    })
    .await;
    let started = Instant::now();
    tokio::join!(duplex.close(1000, "done"), duplex.close(1000, "again"));
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!(duplex.end(), Some(End::Local));
    assert_eq!(duplex.next(1).await, []);
    duplex.close(1000, "after").await;
}

#[tokio::test]
async fn close_sends_its_code_after_what_was_queued() {
    let (mut server, duplex) = pair(DuplexOptions::default()).await;
    duplex
        .send(Outgoing::Text("last".to_owned()))
        .expect("queued");
    let peer = async {
        let mut seen = Vec::new();
        while let Some(Ok(message)) = server.next().await {
            seen.push(message);
        }
        seen
    };
    let ((), seen) = tokio::join!(duplex.close(1001, "away"), peer);
    assert_eq!(seen[0], Message::text("last"));
    let Message::Close(Some(frame)) = &seen[1] else {
        panic!("a close frame was expected, got {seen:?}");
    };
    assert_eq!(
        (u16::from(frame.code), frame.reason.as_str()),
        (1001, "away")
    );
}

#[tokio::test]
async fn dropping_it_cuts_the_connection() {
    let (server, duplex) = pair(DuplexOptions::default()).await;
    drop(duplex);
    let mut stream = server.into_inner();
    let mut rest = Vec::new();
    // An end or a reset: either way the read returns.
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_consumer_that_looks_is_woken_for_every_message_and_for_the_end() {
    let (rung, mut bell) = tokio::sync::mpsc::unbounded_channel();
    let wake = Arc::new(move || {
        let _ = rung.send(());
    });
    let (mut server, duplex) = pair_with(DuplexOptions::default(), wake).await;
    assert_eq!(duplex.look(8), Found::Nothing);
    for text in ["one", "two", "three"] {
        server.send(Message::text(text)).await.expect("sent");
        bell.recv().await.expect("woken");
    }
    let text = |text: &str| Incoming::Text(text.to_owned());
    assert_eq!(
        duplex.look(2),
        Found::Messages(vec![text("one"), text("two")])
    );
    assert_eq!(duplex.look(2), Found::Messages(vec![text("three")]));
    assert_eq!(duplex.look(2), Found::Nothing);
    server.close(None).await.expect("closed");
    bell.recv().await.expect("woken");
    assert_eq!(duplex.look(2), Found::End);
    assert_eq!(duplex.end(), Some(End::Peer(None)));
}
