//! Who is let in, without a server around it.

use std::fs;

use super::*;

fn headers(authorization: &str) -> HeaderMap {
    HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(authorization).expect("a header"))])
}

fn basic(name: &str, password: &str) -> HeaderMap {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
    headers(&format!("Basic {pair}"))
}

async fn status(access: &Access, headers: &HeaderMap, need: Need) -> u16 {
    let remote = Some(IpAddr::from([10, 0, 0, 1]));
    access.check(headers, remote, need).await.map_or_else(|response| response.status().as_u16(), |_| 200)
}

fn reading(line: &str) -> Result<Credential, CredentialError> {
    line.parse()
}

#[tokio::test]
async fn a_password_or_a_token_lets_in_as_far_as_its_scope_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("credentials");
    let ann = Credential::with_password("ann", Scope::Write, "hush").expect("made").credential;
    let ci = Credential::with_token("ci", Scope::Read).expect("made");
    let token = ci.token.expect("it has one");
    fs::write(&path, format!("# who may\n\n{}\n{}\n", ann.line(), ci.credential.line())).expect("written");
    let single = Some(Credential::given("old:way:in").expect("a pair"));
    let access = Access::new(CredentialSources { file: Some(path.clone()), single }, "Ekiden").expect("good");

    for (given, read, write) in [
        (HeaderMap::new(), 401, 401),
        (basic("ann", "hush"), 200, 200),
        (basic("ann", "hush"), 200, 200),
        (basic("old", "way:in"), 200, 200),
        (basic("ci", &token), 200, 403),
        (headers(&format!("Bearer {token}")), 200, 403),
        (headers(&format!("bearer  {token} ")), 200, 403),
        (headers("Bearer ekiden_other"), 401, 401),
        (headers("Basic %%%"), 401, 401),
        (headers("Digest x"), 401, 401),
        (basic("ann", "Hush"), 401, 401),
        (basic("bob", "hush"), 401, 401),
    ] {
        assert_eq!(status(&access, &given, Need::Read).await, read, "{given:?}");
        assert_eq!(status(&access, &given, Need::Write).await, write, "{given:?}");
        assert_eq!(status(&access, &given, Need::Nothing).await, 200);
    }
    for (given, name) in [(basic("ann", "hush"), "ann"), (headers(&format!("Bearer {token}")), "ci")] {
        let known = access.check(&given, None, Need::Read).await.expect("let in");
        assert_eq!(known.as_deref(), Some(name), "what it changes is told under its name");
    }
    // After the fifth mistake whoever is not known has to wait; who is known does not.
    assert_eq!(status(&access, &basic("ann", "x"), Need::Read).await, 401);
    assert_eq!(status(&access, &basic("ann", "y"), Need::Read).await, 429);
    assert_eq!(status(&access, &basic("ann", "hush"), Need::Write).await, 200);

    let shown = format!("{access:?}");
    assert!(shown.contains("ann") && !shown.contains("argon2") && !shown.contains("sha256"), "{shown}");

    fs::write(&path, "ann write nonsense\n").expect("written");
    access.reload();
    assert_eq!(status(&access, &basic("ann", "hush"), Need::Write).await, 200, "a slip locks nobody out");
    fs::write(&path, format!("{}\n", ci.credential.line())).expect("written");
    access.reload();
    assert_ne!(status(&access, &basic("ann", "hush"), Need::Write).await, 200, "she is there no more");
}

#[tokio::test]
async fn whoever_is_not_let_in_learns_what_to_send() {
    let single = Some(Credential::given("a:b").expect("a pair"));
    let access = Access::new(CredentialSources { file: None, single }, "Ekiden").expect("good");
    let answer = access.check(&HeaderMap::new(), None, Need::Read).await.expect_err("refused");
    let asked: Vec<&HeaderValue> = answer.headers().get_all(header::WWW_AUTHENTICATE).iter().collect();
    assert_eq!(asked, ["Basic realm=\"Ekiden\"", "Bearer realm=\"Ekiden\""]);
}

#[test]
fn a_line_that_is_none_is_refused_without_telling_its_secret() {
    let line = Credential::with_password("ann", Scope::Read, "hush").expect("made").credential.line();
    assert_eq!(reading(&line).expect("good").line(), line, "what is written is read");
    let digits = "0".repeat(64);
    assert!(reading(&format!("ci write sha256:{digits}")).is_ok());
    for (line, expected) in [
        ("ann write", CredentialError::Form),
        ("ann write a b", CredentialError::Form),
        ("ann all $argon2id$x", CredentialError::Scope("all".to_owned())),
        ("a:n write x", CredentialError::Name),
        ("ann write hush", CredentialError::Hash),
        ("ann write sha256:00", CredentialError::Hash),
        ("ann write $argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ", CredentialError::Hash),
    ] {
        assert_eq!(reading(line).map(drop), Err(expected), "{line}");
    }
    let dear = line.replace("m=19456", "m=4194304");
    assert_ne!(dear, line);
    assert_eq!(reading(&dear).map(drop), Err(CredentialError::Dear));
    assert_eq!(Credential::given("nobody").map(drop), Err(CredentialError::Pair));
}

#[test]
fn a_file_that_is_wrong_is_told_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("credentials");
    let line = format!("ci write sha256:{}", "0".repeat(64));
    let read = |text: &str| {
        fs::write(&path, text).expect("written");
        let sources = CredentialSources { file: Some(path.clone()), single: None };
        Access::new(sources, "Ekiden").map(drop).map_err(|error| file::told(&error))
    };
    assert_eq!(read(&line), Ok(()));
    let wrong = read(&format!("# one\n{line}\nann write hush\n")).expect_err("wrong");
    assert!(wrong.contains("credentials:3: the hash is neither") && !wrong.contains("hush"), "{wrong}");
    assert!(read(&format!("{line}\n{line}")).expect_err("twice").contains("credentials:2: there is"));
    assert!(read("# nobody\n").expect_err("empty").contains("ekiden credential NAME"));
    let sources = CredentialSources { file: Some(folder.path().join("none")), single: None };
    assert!(matches!(Access::new(sources, "x"), Err(CredentialsError::Unreadable(..))));
}
