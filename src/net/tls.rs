//! One TLS client configuration for HTTP and WebSocket: ring, TLS 1.2 and up, and the union of the Mozilla roots built in,
//! the system's (or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name instead), and those that `NODE_EXTRA_CA_CERTS` names,
//! so that a slim container without `ca-certificates`, a private authority, and whatever a Node program trusts all work.
//! It refuses to trust anything else, whatever an option says.
//!
//! The crypto provider is named here and not installed for the whole process, which belongs to the user.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::load_certs_from_paths;

const EXTRA: &str = "NODE_EXTRA_CA_CERTS";

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
            store.add_parsable_certificates(extra());
            Arc::new(store)
        })
        .clone()
}

/// What Node is told to trust beside its own roots, in the same variable and form: a file of PEM certificates.
fn extra() -> Vec<CertificateDer<'static>> {
    let Some(path) = std::env::var_os(EXTRA).filter(|path| !path.is_empty()) else {
        return Vec::new();
    };
    let found = load_certs_from_paths(Some(Path::new(&path)), None);
    for error in &found.errors {
        tracing::warn!(%error, "certificates named by {EXTRA} could not be read");
    }
    found.certs
}

/// A client configuration that offers these protocols by ALPN, in this order.
pub fn client_config(alpn: &[&str]) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots())
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}
