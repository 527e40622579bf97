//! Manifests as a user writes them: what is read, what is refused, and what is said about it.

use ekiden::manifest::{self, SourceText};

fn read(path: &str, text: &str) -> manifest::Reading {
    manifest::read(&SourceText { path, bytes: text.as_bytes() })
}

fn shown(reading: &manifest::Reading) -> String {
    reading.diagnostics.iter().map(|diagnostic| diagnostic.render(false) + "\n\n").collect()
}

#[test]
fn try_it() {
    let r = read(
        "prod/web.yaml",
        "id: web\ncmd: sleep 1\ninstnces: 3\ncpus: \"1\"\nenv: {A: 5}\nhealthChecks:\n- portIndex: 3\nportDefinitions: []\n",
    );
    println!("{}", shown(&r));
    let r =
        read("prod/web.json", "{\n\t\"id\": \"web\",\n\t\"cmd\": \"echo \\ud83d\\ude00 \\/\", \"args\": null}");
    println!("{}{:#?}", shown(&r), r.apps.len());
    println!("{:#}", manifest::app_to_json(&r.apps[0].app));
}
