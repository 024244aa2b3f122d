//! Both doors over TLS, against a server whose authority was made a moment ago: trusted when it is named where a Node
//! program or a system names it, and refused, with nothing sent, when it is not or when the certificate is for somebody else.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use rcgen::{
    date_time_ymd, BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType,
};
use roomhook::net::http::{HttpClient, HttpOptions, NetError};
use roomhook::net::ws;
use roomhook::net::ws::{Frame, Outgoing, WsError, WsOptions};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::ServerConfig;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::server::TlsStream;
use tokio_rustls::TlsAcceptor;
use url::Url;

const SECOND: Duration = Duration::from_secs(1);

type Authority = CertifiedIssuer<'static, KeyPair>;

struct Authorities {
    /// Named by `NODE_EXTRA_CA_CERTS`.
    extra: Authority,
    /// Named by `SSL_CERT_FILE`.
    system: Authority,
    /// Named nowhere.
    stranger: Authority,
    _folder: TempDir,
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new([]).expect("no names");
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed")
}

/// The environment belongs to the whole process and the roots are read once, so every test asks here first.
fn authorities() -> &'static Authorities {
    static ALL: OnceLock<Authorities> = OnceLock::new();
    ALL.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (extra, system) = (authority("extra"), authority("system"));
        for (variable, ca) in [("NODE_EXTRA_CA_CERTS", &extra), ("SSL_CERT_FILE", &system)] {
            let path = folder.path().join(format!("{variable}.pem"));
            std::fs::write(&path, ca.pem()).expect("writable");
            std::env::set_var(variable, path);
        }
        Authorities {
            extra,
            system,
            stranger: authority("stranger"),
            _folder: folder,
        }
    })
}

/// What a server speaks once the handshake is done.
#[derive(Clone, Copy)]
enum Speaks {
    /// Answers a request with 200.
    Http,
    /// Echoes the messages of a WebSocket.
    Messages,
}

/// A server on loopback with a certificate of this authority; tells of each connection whether its handshake was done.
struct TlsServer {
    port: u16,
    handshakes: mpsc::UnboundedReceiver<bool>,
}

impl TlsServer {
    async fn start(ca: &Authority, speaks: Speaks) -> Self {
        TlsServer::with(ca, speaks, |_| {}).await
    }

    async fn with(
        ca: &Authority,
        speaks: Speaks,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).expect("names");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, ca).expect("signed");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate with its key");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (tell, handshakes) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(Arc::new(config));
            while let Ok((stream, _)) = listener.accept().await {
                let accepted = acceptor.accept(stream).await;
                let _ = tell.send(accepted.is_ok());
                if let Ok(stream) = accepted {
                    tokio::spawn(serve(stream, speaks));
                }
            }
        });
        TlsServer { port, handshakes }
    }

    fn url(&self, scheme: &str, host: &str) -> Url {
        Url::parse(&format!("{scheme}://{host}:{}/path", self.port)).expect("a URL")
    }

    async fn shook_hands(&mut self) -> bool {
        self.handshakes.recv().await.expect("a connection")
    }
}

async fn serve(mut stream: TlsStream<TcpStream>, speaks: Speaks) {
    match speaks {
        Speaks::Http => {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
            let _ = stream.write_all(answer).await;
            let _ = stream.read(&mut request).await;
        }
        Speaks::Messages => {
            let upgraded = tokio_tungstenite::accept_async(stream).await;
            let mut socket = upgraded.expect("an upgrade");
            while let Some(Ok(message)) = socket.next().await {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn post(url: &Url) -> Result<u16, NetError> {
    let client = HttpClient::new(&HttpOptions::default()).expect("a client");
    let answer = client
        .post_json(url, &[], Bytes::from_static(b"{}"), 5 * SECOND)
        .await;
    answer.map(|answer| answer.status)
}

async fn echo(url: &Url) -> Result<Frame, WsError> {
    let (sender, mut receiver) = ws::connect(url, &[], &WsOptions::default()).await?;
    sender
        .send(Outgoing::Text("hello".to_owned()))
        .expect("queued");
    receiver.next().await
}

#[tokio::test]
async fn an_authority_named_by_node_extra_ca_certs_or_ssl_cert_file_is_trusted_over_https_and_wss()
{
    let all = authorities();
    for ca in [&all.extra, &all.system] {
        for host in ["127.0.0.1", "localhost"] {
            let mut server = TlsServer::start(ca, Speaks::Http).await;
            assert_eq!(post(&server.url("https", host)).await, Ok(200), "{host}");
            assert!(server.shook_hands().await);
            let mut server = TlsServer::start(ca, Speaks::Messages).await;
            let echoed = echo(&server.url("wss", host)).await;
            assert_eq!(echoed, Ok(Frame::Text("hello".to_owned())), "{host}");
            assert!(server.shook_hands().await);
        }
    }
}

/// Both doors refuse with these words, before anything of a request has left.
async fn refused(mut server: TlsServer, words: &str) {
    let error = post(&server.url("https", "127.0.0.1"))
        .await
        .expect_err("refused");
    assert!(
        matches!(&error, NetError::Tls(why) if why.contains(words)),
        "{error:?}"
    );
    assert!(error.nothing_sent());
    assert!(!server.shook_hands().await);
    let error = echo(&server.url("wss", "127.0.0.1"))
        .await
        .expect_err("refused");
    assert!(
        matches!(&error, WsError::Tls(why) if why.contains(words)),
        "{error:?}"
    );
    assert!(!server.shook_hands().await);
}

#[tokio::test]
async fn an_authority_that_nobody_named_is_refused_with_nothing_sent() {
    let server = TlsServer::start(&authorities().stranger, Speaks::Http).await;
    refused(server, "UnknownIssuer").await;
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused_with_nothing_sent() {
    let server = TlsServer::with(&authorities().extra, Speaks::Http, |params| {
        params.subject_alt_names = vec![SanType::DnsName(
            "other.example".try_into().expect("a name"),
        )];
    });
    refused(server.await, "not valid for name").await;
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_refused_with_nothing_sent() {
    let server = TlsServer::with(&authorities().extra, Speaks::Http, |params| {
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    refused(server.await, "expired").await;
}
