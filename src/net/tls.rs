//! One TLS client configuration for HTTP and WebSocket: ring, TLS 1.2 and up, and the union of the system's roots and
//! the Mozilla roots built in, so that a slim container without `ca-certificates` and a private authority both work.
//!
//! The crypto provider is named here and not installed for the whole process, which belongs to the user.

use std::sync::Arc;
use std::sync::OnceLock;

use rustls::crypto::ring;
use rustls::ClientConfig;
use rustls::RootCertStore;

/// Read once: the system's store can be hundreds of files.
fn roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    ROOTS
        .get_or_init(|| {
            let mut store = RootCertStore::empty();
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            let system = rustls_native_certs::load_native_certs();
            for error in &system.errors {
                tracing::debug!(%error, "part of the system's certificate store could not be read");
            }
            store.add_parsable_certificates(system.certs);
            Arc::new(store)
        })
        .clone()
}

/// A client configuration that offers these protocols by ALPN, in this order. Honours `SSL_CERT_FILE`.
pub fn client_config(alpn: &[&str]) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots())
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}
