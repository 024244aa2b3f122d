//! The outbound HTTP door against receivers that misbehave. Every receiver is a raw socket on a free port.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use roomhook::net::http::{Answer, HttpClient, HttpOptions, NetError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, Barrier};
use url::Url;

/// Serves each connection with `reply` after the request's head and two-byte body came in; reports each request head.
async fn receiver(reply: &'static str) -> (Url, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = url_of(&listener);
    let (heads, seen) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, reply, heads.clone()));
        }
    });
    (url, seen)
}

async fn serve(mut stream: TcpStream, reply: &str, heads: mpsc::UnboundedSender<String>) {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&chunk[..read]),
        }
        if request.ends_with(b"\r\n\r\n{}") {
            let _ = heads.send(String::from_utf8(std::mem::take(&mut request)).expect("ASCII"));
            if stream.write_all(reply.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

fn url_of(listener: &TcpListener) -> Url {
    let port = listener.local_addr().expect("an address").port();
    Url::parse(&format!("http://127.0.0.1:{port}/hook?key=very-secret")).expect("a URL")
}

async fn post(url: &Url, timeout: Duration) -> Result<Answer, NetError> {
    client()
        .post_json(url, &[], Bytes::from_static(b"{}"), timeout)
        .await
}

fn client() -> HttpClient {
    HttpClient::new(&HttpOptions::default()).expect("a client")
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn an_answer_comes_with_status_body_and_retry_after() {
    let (url, mut heads) =
        receiver("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nlate").await;
    let headers = [("X-One".to_owned(), "1".to_owned())];
    let client = client();
    for _ in 0..2 {
        let answer = client
            .post_json(&url, &headers, Bytes::from_static(b"{}"), SECOND)
            .await
            .expect("an answer");
        assert_eq!(answer.status, 503);
        assert_eq!(answer.retry_after.as_deref(), Some("7"));
        assert_eq!(answer.body.as_deref(), Some(&b"late"[..]));
        let head = heads.recv().await.expect("a request").to_lowercase();
        assert!(head.starts_with("post /hook?key=very-secret http/1.1\r\n"));
        assert!(head.contains("content-type: application/json\r\n"));
        assert!(head.contains("x-one: 1\r\n"));
        assert!(head.contains("user-agent: roomhook/"));
        assert!(!head.contains("accept-encoding"));
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (elsewhere, mut followed) = receiver("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    for status in [301, 302, 303, 307, 308] {
        let reply: &'static str =
            format!("HTTP/1.1 {status} Gone\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n")
                .leak();
        let (url, _heads) = receiver(reply).await;
        assert_eq!(post(&url, SECOND).await.expect("an answer").status, status);
    }
    assert!(followed.try_recv().is_err());
}

#[tokio::test]
async fn a_body_that_never_ends_in_time_is_a_timeout() {
    let (url, _heads) = receiver("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1").await;
    let started = Instant::now();
    let error = post(&url, Duration::from_millis(200))
        .await
        .expect_err("no answer");
    assert_eq!(error, NetError::Timeout(200));
    assert!(error.retryable() && !error.nothing_sent());
    assert!(started.elapsed() < 5 * SECOND);
}

#[tokio::test]
async fn f_d10_an_answer_with_the_largest_metadata_of_livekit_is_read() {
    let body = "\\u0022".repeat(512 * 1024);
    let length = body.len();
    let reply: &'static str =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").leak();
    let (url, _heads) = receiver(reply).await;
    let answer = post(&url, 10 * SECOND).await.expect("an answer");
    assert_eq!(answer.body.map(|body| body.len()), Some(length));
}

/// A receiver that answers so many requests together, once all of them are there; counts the connections.
async fn patient(answers: usize) -> (Url, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = url_of(&listener);
    let connections = Arc::new(AtomicUsize::new(0));
    let all = Arc::new(Barrier::new(answers));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let barrier = all.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut chunk = [0; 4096];
                loop {
                    match stream.read(&mut chunk).await {
                        Ok(0) | Err(_) => return,
                        Ok(read) => request.extend_from_slice(&chunk[..read]),
                    }
                    if request.ends_with(b"\r\n\r\n{}") {
                        request.clear();
                        barrier.wait().await;
                        let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                        if stream.write_all(reply).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    (url, connections)
}

#[tokio::test]
async fn f_d11_a_second_burst_uses_the_connections_of_the_first() {
    const IN_FLIGHT: usize = 100;
    let (url, connections) = patient(IN_FLIGHT).await;
    let client = client();
    for _ in 0..2 {
        let burst = (0..IN_FLIGHT)
            .map(|_| client.post_json(&url, &[], Bytes::from_static(b"{}"), 20 * SECOND));
        for answer in futures_util::future::join_all(burst).await {
            assert_eq!(answer.expect("an answer").status, 200);
        }
    }
    let opened = connections.load(Ordering::SeqCst);
    assert_eq!(opened, IN_FLIGHT);
}

#[tokio::test]
async fn f_d11_a_time_that_is_over_before_anything_was_written_leaves_no_doubt() {
    // The queue of connections that nobody accepts is full: the next one never comes about.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let listener = socket.listen(1).expect("a queue");
    let url = url_of(&listener);
    let address = listener.local_addr().expect("an address");
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        waiting.push(stream);
    }
    let error = post(&url, Duration::from_millis(200))
        .await
        .expect_err("no answer");
    assert_eq!(error, NetError::NotSent(200));
    assert!(error.retryable() && error.nothing_sent());
}

#[tokio::test]
async fn a_body_above_the_limit_is_not_read_to_its_end() {
    for head in ["Content-Length: 70000", "Transfer-Encoding: chunked"] {
        let body = "x".repeat(66_000);
        let reply: &'static str = if head.starts_with('C') {
            format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}").leak()
        } else {
            format!(
                "HTTP/1.1 200 OK\r\n{head}\r\n\r\n{:x}\r\n{body}\r\n",
                body.len()
            )
            .leak()
        };
        // Neither reply is complete, so waiting for its end would be a timeout.
        let (url, _heads) = receiver(reply).await;
        let options = HttpOptions {
            max_answer_bytes: 64 * 1024,
            ..HttpOptions::default()
        };
        let client = HttpClient::new(&options).expect("a client");
        let answer = client
            .post_json(&url, &[], Bytes::from_static(b"{}"), 5 * SECOND)
            .await
            .expect("an answer");
        assert_eq!((answer.status, answer.body), (200, None), "{head}");
    }
}

#[tokio::test]
async fn a_body_cut_short_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = url_of(&listener);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1")
            .await;
    });
    let error = post(&url, SECOND).await.expect_err("no answer");
    assert!(matches!(error, NetError::Broken(_)), "{error:?}");
}

#[tokio::test]
async fn a_refused_connection_names_the_reason_and_not_the_url() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = url_of(&listener);
    drop(listener);
    let error = post(&url, SECOND).await.expect_err("no answer");
    assert!(error.nothing_sent() && error.retryable());
    let text = format!("{error} {error:?}");
    assert!(text.contains("refused"), "{text}");
    assert!(
        !text.contains("very-secret") && !text.contains("hook"),
        "{text}"
    );
}

#[tokio::test]
async fn a_host_that_takes_no_connection_is_given_up_after_the_connect_timeout() {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a port");
    // Two connections fill a queue of one that nobody empties; the kernel then drops every further attempt.
    let listener = socket.listen(1).expect("listening");
    let address = listener.local_addr().expect("an address");
    let _first = TcpStream::connect(address).await.expect("queued");
    let _second = TcpStream::connect(address).await.expect("queued");
    let client = HttpClient::new(&HttpOptions {
        connect_timeout: Duration::from_millis(200),
        ..HttpOptions::default()
    })
    .expect("a client");
    let started = Instant::now();
    let error = client
        .post_json(
            &url_of(&listener),
            &[],
            Bytes::from_static(b"{}"),
            10 * SECOND,
        )
        .await
        .expect_err("no answer");
    assert!(matches!(error, NetError::Connect(_)), "{error:?}");
    assert!(error.nothing_sent() && started.elapsed() < 5 * SECOND);
}

#[tokio::test]
async fn plain_text_where_tls_is_expected_is_a_tls_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let https = url_of(&listener).as_str().replace("http:", "https:");
    let https = Url::parse(&https).expect("a URL");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = stream.read(&mut [0; 4096]).await;
    });
    let error = post(&https, SECOND).await.expect_err("no answer");
    assert!(matches!(error, NetError::Tls(_)), "{error:?}");
}

#[tokio::test]
async fn a_bad_header_or_url_is_refused_before_anything_is_sent() {
    let (url, mut heads) = receiver("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let headers = [("X-One".to_owned(), "a\r\nX-Two: b".to_owned())];
    let error = client()
        .post_json(&url, &headers, Bytes::from_static(b"{}"), SECOND)
        .await
        .expect_err("refused");
    assert_eq!(error, NetError::Header);
    assert!(!error.retryable());
    let mut with_user = url.clone();
    with_user.set_username("user").expect("a user name");
    assert!(matches!(
        post(&with_user, SECOND).await,
        Err(NetError::Address(_))
    ));
    assert!(heads.try_recv().is_err());
}
