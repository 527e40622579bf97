//! The certificate and key under which the API is offered with TLS: read from files, and read again when they change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::follow::Followed;

/// Where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, and those between it and its authority (PEM).
    pub certificate: PathBuf,
    /// Its key (PEM).
    pub key: PathBuf,
}

/// Why they cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file that is not there, or holds something else.
    #[error("{} holds no {what} in PEM form that can be read: {problem}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The two do not go together, or nobody could use them.
    #[error(
        "the certificate in {} and the key in {} cannot be used together: {problem}",
        files.certificate.display(),
        files.key.display()
    )]
    Mismatch {
        /// Which files.
        files: CertificateFiles,
        /// What is wrong.
        problem: String,
    },
}

/// The pair that is in use.
#[derive(Debug)]
pub(super) struct Certificate {
    files: CertificateFiles,
    followed: Followed,
    config: RwLock<Arc<ServerConfig>>,
}

impl Certificate {
    /// Reads the files.
    pub(super) fn new(files: CertificateFiles) -> Result<Self, CertificateError> {
        let followed = Followed::now(vec![files.certificate.clone(), files.key.clone()]);
        let config = RwLock::new(Arc::new(read(&files)?));
        Ok(Self { files, followed, config })
    }

    /// Reads the files again whenever they change. Never ends.
    pub(super) async fn follow(&self) {
        self.followed.clone().follow(|| self.reload()).await;
    }

    /// For the next connection.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again. A pair that cannot be used changes nothing, and is told.
    fn reload(&self) {
        match read(&self.files) {
            Ok(config) => {
                tracing::info!(file = %self.files.certificate.display(), "the certificate has been read again");
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
            }
            Err(error) => tracing::warn!(cause = %error, "the certificate stays as it was"),
        }
    }
}

fn read(files: &CertificateFiles) -> Result<ServerConfig, CertificateError> {
    let unreadable =
        |path: &Path, what, problem: String| CertificateError::Unreadable { path: path.to_owned(), what, problem };
    let no_certificate = |problem| unreadable(&files.certificate, "certificate", problem);
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| no_certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(no_certificate("there is none in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| unreadable(&files.key, "private key", error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config =
        config.map_err(|error| CertificateError::Mismatch { files: files.clone(), problem: error.to_string() })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use base64::Engine;

    use super::*;

    fn pem(what: &str, der: &[u8]) -> String {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
    }

    #[test]
    fn a_pair_that_does_not_go_together_is_refused_and_later_ignored() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = CertificateFiles {
            certificate: folder.path().join("certificate.pem"),
            key: folder.path().join("key.pem"),
        };
        let [one, other] = ["a.example", "b.example"]
            .map(|name| rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate"));
        fs::write(&files.certificate, pem("CERTIFICATE", one.cert.der())).expect("written");
        fs::write(&files.key, pem("PRIVATE KEY", &other.signing_key.serialize_der())).expect("written");
        let refused = Certificate::new(files.clone()).map(drop);
        assert!(matches!(refused, Err(CertificateError::Mismatch { .. })), "{refused:?}");

        fs::write(&files.key, pem("PRIVATE KEY", &one.signing_key.serialize_der())).expect("written");
        let certificate = Certificate::new(files.clone()).expect("a pair");
        let before = certificate.config();
        fs::write(&files.certificate, "nothing").expect("written");
        certificate.reload();
        assert!(Arc::ptr_eq(&before, &certificate.config()), "it stays");
        fs::write(&files.certificate, pem("CERTIFICATE", one.cert.der())).expect("written");
        certificate.reload();
        assert!(!Arc::ptr_eq(&before, &certificate.config()), "it is read again");
        fs::remove_file(&files.key).expect("removed");
        assert!(matches!(Certificate::new(files).map(drop), Err(CertificateError::Unreadable { .. })));
    }
}
