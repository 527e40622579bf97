//! Brings files into a sandbox before its task starts: from this machine, or over HTTP.
//!
//! Archives are unpacked by the `tar`, `unzip` and `gzip` of this machine, as processes of their own under a
//! supervisor: what Mesos' fetcher does, too. There is no cache: `cache` in a declaration changes nothing here.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use ekiden_model::app::Fetch;
use http::{StatusCode, Uri, header};
use http_body_util::BodyExt;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::http::{NoAnswer, Trust, get};
use super::protocol::{End, Program, Spec};
use super::supervisor::{StartError, Supervised};

/// Largest file fetched over HTTP. Artifacts of real apps stay below 1 GiB; four times that is a mistake, or
/// somebody who wants to fill the disk.
const MAX_BYTES: u64 = 4 << 30;
/// A server that sends nothing for so long has stalled: Mesos' `--fetcher_stall_timeout`.
const STALL_TIMEOUT: Duration = Duration::from_mins(1);
/// Longest time for one URI, unpacking included: [`MAX_BYTES`] at 7 MB/s.
const FETCH_TIMEOUT: Duration = Duration::from_mins(10);
/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;

/// A URI that could not be brought into the sandbox.
#[derive(Debug, thiserror::Error)]
#[error("failed to fetch `{uri}`: {cause}")]
pub(super) struct FetchError {
    uri: String,
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("write an absolute path, or a URI that begins with file://, http:// or https://")]
    Scheme,
    #[error("it has no file name; give one as `destPath`")]
    NoName,
    #[error("`destPath` must be a relative path that stays in the sandbox")]
    OutsideSandbox,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    NoAnswer(#[from] NoAnswer),
    #[error("the server answers {0}")]
    Status(StatusCode),
    #[error("the answer breaks off: {0}")]
    BrokenOff(hyper::Error),
    #[error("the server has sent nothing for {} s", STALL_TIMEOUT.as_secs())]
    Stalled,
    #[error("it is larger than {} GiB", MAX_BYTES >> 30)]
    TooLarge,
    #[error("it takes longer than {} min", FETCH_TIMEOUT.as_secs() / 60)]
    TooSlow,
    #[error("it is redirected more than {MAX_REDIRECTS} times")]
    TooManyRedirects,
    #[error("it is redirected to `{0}`, which is not followed")]
    Redirect(String),
    #[error("`{program}` cannot be started: {cause}")]
    Unpacker { program: &'static str, cause: StartError },
    #[error("`{program}` {end}; the task's stderr has its output")]
    Unpack { program: &'static str, end: End },
}

/// Fetches one file into the sandbox. `unpacker` is how to run a program there: all but the program.
pub(super) async fn fetch(item: &Fetch, supervisor: &Path, unpacker: &Spec) -> Result<(), FetchError> {
    let fetched = timeout(FETCH_TIMEOUT, bring(item, supervisor, unpacker)).await;
    fetched.unwrap_or(Err(Cause::TooSlow)).map_err(|cause| FetchError { uri: item.uri.clone(), cause })
}

async fn bring(item: &Fetch, supervisor: &Path, unpacker: &Spec) -> Result<(), Cause> {
    let target = target(item, &unpacker.dir).await?;
    let uri = item.uri.as_str();
    let is_http = uri.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http"));
    match uri.strip_prefix("file://").or(uri.starts_with('/').then_some(uri)) {
        // `file://localhost/path` is a way to write it, too; other hosts are not this one.
        Some(path) => copy(Path::new(path.strip_prefix("localhost").unwrap_or(path)), &target).await?,
        None if is_http => download(uri, &target).await?,
        None => return Err(Cause::Scheme),
    }
    if item.executable {
        let mode = fs::metadata(&target).await?.permissions().mode();
        fs::set_permissions(&target, PermissionsExt::from_mode(mode | 0o111)).await?;
    } else if item.extract {
        unpack(&target, supervisor, unpacker).await?;
    }
    Ok(())
}

/// Where the file goes. Nothing is at that place, and its folder is there.
async fn target(item: &Fetch, sandbox: &Path) -> Result<PathBuf, Cause> {
    let name = match &item.dest_path {
        Some(path) => path.as_str(),
        None => file_name(&item.uri).ok_or(Cause::NoName)?,
    };
    let name = Path::new(name);
    let stays = name.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !stays || name.file_name().is_none() {
        return Err(Cause::OutsideSandbox);
    }
    let target = sandbox.join(name);
    let folder = target.parent().unwrap_or(sandbox);
    fs::create_dir_all(folder).await?;
    // An archive fetched before may have put a link in the way that leads out of the sandbox.
    if !fs::canonicalize(folder).await?.starts_with(fs::canonicalize(sandbox).await?) {
        return Err(Cause::OutsideSandbox);
    }
    match fs::remove_file(&target).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(target),
    }
}

/// The last part of the path: `web.tgz` in `https://host/a/web.tgz?version=3`.
fn file_name(uri: &str) -> Option<&str> {
    let path = uri.split(['?', '#']).next().unwrap_or(uri);
    let after_scheme = path.split_once("://").map_or(path, |(_, rest)| rest);
    let (_, name) = after_scheme.rsplit_once('/')?;
    (!name.is_empty()).then_some(name)
}

async fn copy(source: &Path, target: &Path) -> Result<(), Cause> {
    if !source.is_absolute() {
        return Err(Cause::Scheme);
    }
    fs::copy(source, target).await?;
    Ok(())
}

async fn download(uri: &str, target: &Path) -> Result<(), Cause> {
    let mut uri: Uri = uri.parse().map_err(|_| Cause::Scheme)?;
    for _ in 0..=MAX_REDIRECTS {
        let answer =
            timeout(STALL_TIMEOUT, get(uri.clone(), Trust::Machine)).await.map_err(|_| Cause::Stalled)??;
        let location = answer.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
        match (answer.status(), location) {
            (status, _) if status.is_success() => return save(answer.into_body(), target).await,
            (status, Some(location)) if status.is_redirection() => uri = redirect(&uri, location)?,
            (status, _) => return Err(Cause::Status(status)),
        }
    }
    Err(Cause::TooManyRedirects)
}

async fn save(mut body: hyper::body::Incoming, target: &Path) -> Result<(), Cause> {
    let mut file = File::create_new(target).await?;
    let mut bytes = 0;
    while let Some(frame) = timeout(STALL_TIMEOUT, body.frame()).await.map_err(|_| Cause::Stalled)? {
        let Ok(data) = frame.map_err(Cause::BrokenOff)?.into_data() else { continue };
        bytes += data.len() as u64;
        if bytes > MAX_BYTES {
            return Err(Cause::TooLarge);
        }
        file.write_all(&data).await?;
    }
    file.flush().await?;
    Ok(())
}

/// Where a redirect leads: to a whole URI, or to another path of the same server. Never from https to http.
fn redirect(from: &Uri, location: &str) -> Result<Uri, Cause> {
    let refused = || Cause::Redirect(location.to_owned());
    let to = if location.starts_with('/') && !location.starts_with("//") {
        let mut parts = from.clone().into_parts();
        parts.path_and_query = Some(location.parse().map_err(|_| refused())?);
        Uri::from_parts(parts).map_err(|_| refused())?
    } else {
        location.parse::<Uri>().map_err(|_| refused())?
    };
    let downgraded = from.scheme_str() == Some("https") && to.scheme_str() != Some("https");
    if downgraded || !matches!(to.scheme_str(), Some("http" | "https")) { Err(refused()) } else { Ok(to) }
}

/// Which program unpacks a file of this name, and with which arguments before the file's.
fn unpacker_of(name: &str) -> Option<(&'static str, &'static [&'static str])> {
    const TAR: &[&str] = &[".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz"];
    let ends = |suffix: &&str| name.len() > suffix.len() && name.ends_with(*suffix);
    if TAR.iter().any(ends) {
        // Who packed it is of no interest: the files are the task's.
        Some(("tar", &["--no-same-owner", "-xf"]))
    } else if ends(&".zip") {
        Some(("unzip", &["-o", "-q"]))
    } else if ends(&".gz") {
        Some(("gzip", &["-dkf"]))
    } else {
        None
    }
}

async fn unpack(archive: &Path, supervisor: &Path, unpacker: &Spec) -> Result<(), Cause> {
    let name = archive.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((program, args)) = unpacker_of(name) else { return Ok(()) };
    let mut args: Vec<String> = std::iter::once(&program).chain(args).map(|arg| (*arg).to_owned()).collect();
    args.push(archive.to_string_lossy().into_owned());
    let spec = Spec { program: Program::Args(args), ..unpacker.clone() };
    let mut process =
        Supervised::start(supervisor, &spec).await.map_err(|cause| Cause::Unpacker { program, cause })?;
    match process.ended().await {
        End::Exited(0) => Ok(()),
        end => Err(Cause::Unpack { program, end }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_path_of_a_uri() {
        assert_eq!(file_name("https://host/a/web.tgz?version=3"), Some("web.tgz"));
        assert_eq!(file_name("/opt/web"), Some("web"));
        assert_eq!(file_name("https://host"), None);
        assert_eq!(file_name("https://host/"), None);
    }

    #[test]
    fn archives_are_known_by_their_names() {
        assert_eq!(unpacker_of("web.tgz").map(|(program, _)| program), Some("tar"));
        assert_eq!(unpacker_of("web.tar.xz").map(|(program, _)| program), Some("tar"));
        assert_eq!(unpacker_of("web.zip").map(|(program, _)| program), Some("unzip"));
        assert_eq!(unpacker_of("page.gz").map(|(program, _)| program), Some("gzip"));
        assert_eq!(unpacker_of(".zip"), None);
        assert_eq!(unpacker_of("web.jar"), None);
    }

    #[test]
    fn redirects_stay_as_safe_as_they_were() {
        let to = |from: &str, location: &str| {
            redirect(&from.parse().expect("a URI"), location).map(|uri| uri.to_string())
        };
        assert_eq!(to("http://a/x", "/y?z").ok().as_deref(), Some("http://a/y?z"));
        assert_eq!(to("http://a/x", "https://b/y").ok().as_deref(), Some("https://b/y"));
        assert!(to("https://a/x", "http://a/x").is_err());
        assert!(to("http://a/x", "file:///etc/passwd").is_err());
    }

    #[tokio::test]
    async fn nothing_is_written_outside_the_sandbox() {
        let dir = tempfile::tempdir().expect("a folder");
        let sandbox = dir.path().join("sandbox");
        fs::create_dir(&sandbox).await.expect("made");
        fs::symlink(dir.path(), sandbox.join("out")).await.expect("made");
        let at = |dest: &str| Fetch {
            uri: "/etc/hostname".to_owned(),
            extract: false,
            executable: false,
            cache: false,
            dest_path: Some(dest.to_owned()),
        };
        for dest in ["../x", "/x", "out/x", "a/../../x", "."] {
            let target = target(&at(dest), &sandbox).await;
            assert!(matches!(target, Err(Cause::OutsideSandbox)), "{dest}: {target:?}");
        }
        assert_eq!(target(&at("conf/x"), &sandbox).await.expect("inside"), sandbox.join("conf/x"));
    }
}
