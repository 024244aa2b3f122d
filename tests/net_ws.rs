//! The WebSocket client against servers that refuse, stall, stop reading and vanish.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use roomhook::net::ws;
use roomhook::net::ws::{Frame, Outgoing, SendError, WsError, WsOptions, WsReceiver, WsSender};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::WebSocketStream;
use url::Url;

const SECOND: Duration = Duration::from_secs(1);

async fn listen() -> (TcpListener, Url) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let url = Url::parse(&format!("ws://127.0.0.1:{port}/agent")).expect("a URL");
    (listener, url)
}

async fn accept(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    let (stream, _) = listener.accept().await.expect("a connection");
    tokio_tungstenite::accept_async(stream)
        .await
        .expect("an upgrade")
}

/// A client and the server's end of its connection.
async fn pair(options: &WsOptions) -> (WsSender, WsReceiver, WebSocketStream<TcpStream>) {
    let (listener, url) = listen().await;
    let connect = ws::connect(&url, &[], options);
    let (connected, socket) = tokio::join!(connect, accept(&listener));
    let (sender, receiver) = connected.expect("connected");
    (sender, receiver, socket)
}

async fn say_goodbye(socket: &mut WebSocketStream<TcpStream>, code: CloseCode) {
    let reason = "".into();
    let goodbye = Message::Close(Some(CloseFrame { code, reason }));
    socket.send(goodbye).await.expect("sent");
}

#[tokio::test]
async fn messages_pings_and_close_codes_arrive() {
    let (listener, url) = listen().await;
    let server = tokio::spawn(async move {
        let mut socket = accept(&listener).await;
        for message in [
            Message::text("hello"),
            Message::binary(vec![1, 2]),
            Message::Ping(Bytes::from_static(b"beat")),
        ] {
            socket.send(message).await.expect("sent");
        }
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(socket.next().await.expect("a message").expect("valid"));
        }
        // Lets the pong out before the goodbye.
        socket.flush().await.expect("flushed");
        socket.close(None).await.expect("closed");
        seen
    });
    let (sender, mut receiver) = ws::connect(&url, &[], &WsOptions::default())
        .await
        .expect("connected");
    assert_eq!(receiver.next().await, Ok(Frame::Text("hello".to_owned())));
    assert_eq!(
        receiver.next().await,
        Ok(Frame::Binary(Bytes::from_static(&[1, 2])))
    );
    assert_eq!(receiver.next().await, Ok(Frame::Ping));
    sender
        .send(Outgoing::Text("there".to_owned()))
        .expect("queued");
    sender.send(Outgoing::Ping).expect("queued");
    assert_eq!(receiver.next().await, Ok(Frame::Pong));
    assert_eq!(receiver.next().await, Err(WsError::Closed(None)));
    let seen = server.await.expect("the server ran");
    for expected in [
        Message::text("there"),
        Message::Ping(Bytes::new()),
        Message::Pong(Bytes::from_static(b"beat")),
    ] {
        assert!(seen.contains(&expected), "{seen:?}");
    }
}

#[tokio::test]
async fn headers_are_sent_and_compression_is_not_offered() {
    let (listener, url) = listen().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut head = vec![0; 4096];
        let read = stream.read(&mut head).await.expect("a request");
        String::from_utf8_lossy(&head[..read]).to_lowercase()
    });
    let headers = [("Authorization".to_owned(), "Bearer abc".to_owned())];
    let _ = ws::connect(&url, &headers, &WsOptions::default()).await;
    let head = server.await.expect("the server ran");
    assert!(head.starts_with("get /agent http/1.1\r\n"), "{head}");
    assert!(head.contains("authorization: bearer abc\r\n"), "{head}");
    assert!(!head.contains("sec-websocket-extensions"), "{head}");
}

#[tokio::test]
async fn a_refused_upgrade_carries_the_status_and_a_redirect_is_a_refusal() {
    for status in [301, 401, 404, 503] {
        let (listener, url) = listen().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let _ = stream.read(&mut [0; 4096]).await;
            let reply = format!(
                "HTTP/1.1 {status} No\r\nLocation: ws://127.0.0.1:1/\r\nRetry-After: 7\r\nX-Odd: \u{fc}\r\nContent-Length: 0\r\n\r\n"
            );
            let _ = stream.write_all(reply.as_bytes()).await;
        });
        let result = ws::connect(&url, &[], &WsOptions::default()).await;
        let Err(WsError::Refused(refusal)) = result else {
            panic!("not refused");
        };
        assert_eq!(refusal.status, status);
        let told = |name: &str| refusal.headers.iter().any(|(other, _)| other == name);
        assert!(refusal
            .headers
            .contains(&("retry-after".to_owned(), "7".to_owned())));
        assert!(told("location") && !told("x-odd"));
        assert!(!format!("{refusal:?}").contains("127.0.0.1"));
    }
}

#[tokio::test]
async fn a_connect_timeout_closes_the_socket() {
    let (listener, url) = listen().await;
    let options = WsOptions {
        connect_timeout: Duration::from_millis(100),
        ..WsOptions::default()
    };
    // The server takes the connection and never answers the upgrade.
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut rest = Vec::new();
        stream
            .read_to_end(&mut rest)
            .await
            .expect("the end of the stream");
    });
    let result = ws::connect(&url, &[], &options).await;
    assert_eq!(result.map(drop), Err(WsError::Timeout(100)));
    tokio::time::timeout(SECOND, server)
        .await
        .expect("the socket was closed")
        .expect("the server ran");
}

#[tokio::test]
async fn a_bare_end_of_the_stream_is_a_close_without_code() {
    let (listener, url) = listen().await;
    tokio::spawn(async move { drop(accept(&listener).await) });
    let (_sender, mut receiver) = ws::connect(&url, &[], &WsOptions::default())
        .await
        .expect("connected");
    assert_eq!(receiver.next().await, Err(WsError::Closed(None)));
}

#[tokio::test]
async fn a_message_above_the_limit_breaks_the_connection() {
    let (listener, url) = listen().await;
    let options = WsOptions {
        max_message_bytes: 1000,
        ..WsOptions::default()
    };
    tokio::spawn(async move {
        let mut socket = accept(&listener).await;
        let _ = socket.send(Message::binary(vec![0; 1000])).await;
        let _ = socket.send(Message::binary(vec![0; 1001])).await;
        while socket.next().await.is_some_and(|message| message.is_ok()) {}
    });
    let (_sender, mut receiver) = ws::connect(&url, &[], &options).await.expect("connected");
    assert!(matches!(receiver.next().await, Ok(Frame::Binary(_))));
    assert!(matches!(receiver.next().await, Err(WsError::Broken(_))));
}

#[tokio::test]
async fn a_peer_that_stops_reading_fills_a_bounded_queue_and_then_breaks_the_connection() {
    let options = WsOptions {
        write_timeout: Duration::from_millis(200),
        queue: 4,
        ..WsOptions::default()
    };
    // Kept open and never read.
    let (sender, mut receiver, _socket) = pair(&options).await;
    let chunk = Bytes::from(vec![0; 1 << 20]);
    let started = Instant::now();
    let mut full = 0;
    loop {
        match sender.send(Outgoing::Binary(chunk.clone())) {
            Ok(()) => {}
            Err(SendError::Full) => full += 1,
            Err(SendError::Ended) => break,
            Err(SendError::TooLarge) => panic!("1 MiB fits into 4"),
        }
        assert!(started.elapsed() < 10 * SECOND, "the writer never gave up");
        tokio::task::yield_now().await;
    }
    assert!(full > 0);
    assert_eq!(sender.dropped(), full);
    assert!(matches!(receiver.next().await, Err(WsError::Broken(_))));
}

#[tokio::test]
async fn the_queue_is_bounded_in_bytes_and_room_is_when_the_refused_message_fits() {
    let options = WsOptions {
        queue_bytes: 1 << 20,
        ..WsOptions::default()
    };
    let (sender, _receiver, mut server) = pair(&options).await;
    let message = |size: usize| Outgoing::Binary(Bytes::from(vec![7; size]));
    assert_eq!(
        sender.send(message((1 << 20) + 1)),
        Err(SendError::TooLarge)
    );
    assert_eq!(sender.dropped(), 0);

    // The peer does not read yet: what the machine does not take waits here.
    let mut queued = 0;
    while sender.send(message(64 << 10)).is_ok() {
        queued += 1;
        tokio::task::yield_now().await;
    }
    assert!(queued >= 16, "{queued}");
    assert_eq!(sender.dropped(), 1);
    assert_eq!(sender.send(message(1 << 20)), Err(SendError::Full));
    assert_eq!(sender.send(Outgoing::Ping), Ok(()), "a ping takes no room");
    assert_eq!(sender.send(message(1 << 20)), Err(SendError::Full));

    let waiting = tokio::spawn({
        let sender = sender.clone();
        async move { sender.ready().await }
    });
    let mut read = 0;
    while read < queued {
        let message = server.next().await.expect("one").expect("valid");
        read += usize::from(message.is_binary());
    }
    // All of it has left, so a message as large as the whole queue fits.
    let ready = tokio::time::timeout(SECOND, waiting).await;
    assert_eq!(ready.expect("in time").expect("it ran"), Ok(()));
    assert_eq!(sender.send(message(1 << 20)), Ok(()));
    let ping = server.next().await.expect("one").expect("valid");
    assert!(ping.is_ping());
    let last = server.next().await.expect("one").expect("valid");
    assert_eq!(last.len(), 1 << 20);
}

#[tokio::test]
async fn whoever_waits_for_room_is_told_when_the_connection_ends() {
    let options = WsOptions {
        queue_bytes: 1 << 20,
        ..WsOptions::default()
    };
    let (sender, receiver, _server) = pair(&options).await;
    while sender
        .send(Outgoing::Binary(Bytes::from(vec![7; 1 << 20])))
        .is_ok()
    {
        tokio::task::yield_now().await;
    }
    let waiting = tokio::spawn(async move { sender.ready().await });
    drop(receiver);
    let told = tokio::time::timeout(SECOND, waiting).await;
    assert_eq!(
        told.expect("in time").expect("it ran"),
        Err(SendError::Ended)
    );
}

#[tokio::test]
async fn close_sends_what_is_queued_and_never_waits_longer_than_its_limit() {
    let (sender, receiver, mut socket) = pair(&WsOptions::default()).await;
    sender
        .send(Outgoing::Text("last words".to_owned()))
        .expect("queued");
    tokio::spawn(async move {
        // Reads, and answers the goodbye with silence.
        let first = socket.next().await;
        assert_eq!(
            first.expect("a message").expect("valid"),
            Message::text("last words")
        );
        std::mem::forget(socket);
    });
    let started = Instant::now();
    receiver
        .close(1000, "done", Duration::from_millis(200))
        .await;
    let took = started.elapsed();
    assert!(
        took >= Duration::from_millis(190) && took < 5 * SECOND,
        "{took:?}"
    );
    tokio::task::yield_now().await;
    assert_eq!(sender.send(Outgoing::Ping), Err(SendError::Ended));
}

#[tokio::test]
async fn a_peer_that_says_goodbye_and_keeps_the_stream_open_does_not_hold_us() {
    let (_sender, mut receiver, mut socket) = pair(&WsOptions::default()).await;
    say_goodbye(&mut socket, CloseCode::Restart).await;
    let started = Instant::now();
    assert_eq!(receiver.next().await, Err(WsError::Closed(Some(1012))));
    assert!(started.elapsed() < 5 * SECOND);
    // Our own goodbye was sent.
    let answer = socket.next().await.expect("an answer").expect("valid");
    assert!(answer.is_close());
}

#[tokio::test]
async fn goodbyes_that_cross_both_arrive() {
    let (_sender, mut receiver, mut socket) = pair(&WsOptions::default()).await;
    // In one packet: with the text, theirs is here before ours has left.
    socket.feed(Message::text("hello")).await.expect("fed");
    say_goodbye(&mut socket, CloseCode::Away).await;
    assert_eq!(receiver.next().await, Ok(Frame::Text("hello".to_owned())));
    let server = tokio::spawn(async move { socket.next().await });
    receiver.close(1000, "", 60 * SECOND).await;
    let answer = server.await.expect("the server ran").expect("an answer");
    assert!(answer.expect("valid").is_close());
}

#[tokio::test]
async fn a_close_that_is_answered_is_over_at_once() {
    let (_sender, receiver, mut socket) = pair(&WsOptions::default()).await;
    let server = tokio::spawn(async move {
        while socket.next().await.is_some() {}
        socket
    });
    let started = Instant::now();
    receiver.close(1000, "", 60 * SECOND).await;
    assert!(started.elapsed() < 10 * SECOND);
    server.await.expect("the server ran");
}

#[tokio::test]
async fn dropping_the_receiver_closes_the_socket() {
    let (sender, receiver, mut socket) = pair(&WsOptions::default()).await;
    drop(receiver);
    let end = tokio::time::timeout(SECOND, socket.next())
        .await
        .expect("an end");
    assert!(end.is_none_or(|message| message.is_err()));
    assert_eq!(sender.send(Outgoing::Ping), Err(SendError::Ended));
}
