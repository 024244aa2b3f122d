//! A TCP proxy that can cut its connections while both ends live on.

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use url::Url;

pub struct Proxy {
    pub url: Url,
    cut: broadcast::Sender<()>,
}

impl Proxy {
    /// Passes every connection on to this port of the loopback.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let own = listener.local_addr().expect("an address").port();
        let (cut, _) = broadcast::channel(1);
        let cuts = cut.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut cut = cuts.subscribe();
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(("127.0.0.1", port)).await?;
                    tokio::select! {
                        end = tokio::io::copy_bidirectional(&mut near, &mut far) => end.map(drop),
                        _ = cut.recv() => Ok(()),
                    }
                });
            }
        });
        Proxy {
            url: Url::parse(&format!("http://127.0.0.1:{own}")).expect("a URL"),
            cut,
        }
    }

    /// Ends the connections there are; new ones are passed on.
    pub fn cut(&self) {
        self.cut.send(()).expect("a connection to cut");
    }
}
