//! Documents, lists, groups, ids and dependencies.

use ekiden::manifest::{self, Code, Reading};

use super::{codes, read, shown};

fn ids(reading: &Reading) -> Vec<String> {
    assert_eq!(shown(&reading.diagnostics), "");
    reading.apps.iter().map(|app| app.app.id.to_string()).collect()
}

fn dependencies<'a>(reading: &'a Reading, id: &str) -> Vec<&'a str> {
    let app = reading.apps.iter().find(|app| app.app.id.as_str() == id).expect("the app is there");
    app.app.dependencies.iter().map(|dependency| dependency.0.as_str()).collect()
}

#[test]
fn relative_ids_are_resolved_against_the_folder() {
    let text = "id: web\ncmd: sleep 1\n---\nid: /web\ncmd: sleep 1\n---\nid: ../web\ncmd: sleep 1\n";
    assert_eq!(ids(&read("prod/eu/web.yaml", text)), ["/prod/eu/web", "/web", "/prod/web"]);
    assert_eq!(ids(&read("web.yaml", "id: web\ncmd: sleep 1")), ["/web"]);
}

#[test]
fn a_folder_that_is_no_group_matters_to_relative_ids_only() {
    let reading = read("My Apps/web.yaml", "- {id: web, cmd: sleep 1}\n- {id: /web, cmd: sleep 1}");
    assert_eq!(reading.diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), [Code::BadId]);
    assert_eq!(reading.apps.len(), 1);
}

#[test]
fn a_file_holds_apps_lists_groups_and_empty_documents() {
    let text =
        "---\n---\n[{id: a, cmd: sleep 1}, {id: g, apps: [{id: b, cmd: sleep 1}]}]\n---\nid: c\ncmd: sleep 1\n";
    assert_eq!(ids(&read("x/all.yaml", text)), ["/x/a", "/x/g/b", "/x/c"]);
    assert_eq!(ids(&read("x/all.yaml", "[]")), Vec::<String>::new());
    assert_eq!(ids(&read("x/all.yaml", "apps: [{id: a, cmd: sleep 1}]")), ["/x/a"]);
    assert_eq!(ids(&read("x/all.json", r#"{"id":"/","groups":[{"id":"g","apps":[]}]}"#)), Vec::<String>::new());
}

#[test]
fn groups_nest_and_their_dependencies_reach_every_app_below() {
    let text = "
id: product
dependencies: [/base]
groups:
  - id: /product/service
    dependencies: [../backend, /product/database]
    groups:
      - id: us-east
        apps:
          - {id: app1, cmd: sleep 1}
          - {id: app2, cmd: sleep 1, dependencies: [app1, ../../eu]}
apps:
  - {id: web, cmd: sleep 1}
";
    let reading = read("p.yaml", text);
    assert_eq!(ids(&reading), ["/product/web", "/product/service/us-east/app1", "/product/service/us-east/app2"]);
    assert_eq!(dependencies(&reading, "/product/web"), ["/base"]);
    assert_eq!(
        dependencies(&reading, "/product/service/us-east/app1"),
        ["/base", "/product/backend", "/product/database"]
    );
    assert_eq!(
        dependencies(&reading, "/product/service/us-east/app2"),
        ["/base", "/product/backend", "/product/database", "/product/service/eu", "/product/service/us-east/app1"]
    );
}

#[test]
fn what_a_group_depends_on_does_not_wait_for_itself() {
    let text = "id: g\ndependencies: [/g/db]\napps: [{id: db, cmd: sleep 1}, {id: web, cmd: sleep 1}]";
    let reading = read("g.yaml", text);
    assert_eq!(dependencies(&reading, "/g/db"), Vec::<&str>::new());
    assert_eq!(dependencies(&reading, "/g/web"), ["/g/db"]);
    assert_eq!(manifest::check_set(&reading.apps), []);
}

#[test]
fn a_group_that_enforces_its_role_gives_it_to_its_apps() {
    let reading = read("g.yaml", "id: dev\nenforceRole: true\napps: [{id: a, cmd: sleep 1}]");
    let role = reading.apps[0].app.template.role.as_ref().map(ToString::to_string);
    assert_eq!(role.as_deref(), Some("dev"));
    assert_eq!(codes("id: dev\nenforceRole: true\napps: [{id: a, role: ops, cmd: sleep 1}]"), [Code::BadRole]);
    assert_eq!(codes("id: a/b\nenforceRole: true\napps: []"), [Code::BadRole]);
}

#[test]
fn one_bad_app_leaves_the_others_good() {
    let text = "apps:\n- {id: good, cmd: sleep 1}\n- {id: bad, cmd: 5}\n- {id: fine, cmd: sleep 1}\n";
    let reading = read("g.yaml", text);
    assert_eq!(reading.apps.len(), 2);
    assert_eq!(reading.diagnostics.len(), 1, "{}", shown(&reading.diagnostics));
    assert_eq!(reading.diagnostics[0].field, "/apps(1)/cmd");
    assert_eq!((reading.diagnostics[0].line, reading.diagnostics[0].column), (3, 18));
}

#[test]
fn a_broken_document_leaves_the_next_one_good() {
    let reading = read("g.yaml", "id: a\ncmd: [\n---\nid: b\ncmd: sleep 1\n---\nid: c\ncmd: 'x\n");
    assert_eq!(reading.apps.len(), 1);
    assert_eq!(reading.diagnostics.iter().map(|d| (d.code, d.line)).collect::<Vec<_>>().len(), 2);
}

#[test]
fn clashes_between_files_name_both_places() {
    let mut apps = read("a.yaml", "id: /web\ncmd: sleep 1").apps;
    apps.extend(read("sub/b.yaml", "# twice\nid: /web\ncmd: sleep 2").apps);
    let found = manifest::check_set(&apps);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, Code::DuplicateId);
    assert_eq!((&*found[0].path, found[0].line), ("sub/b.yaml", 2));
    assert_eq!(&*found[0].related[0].0, "a.yaml");
    let json = found[0].to_json();
    assert_eq!(json["code"], "E0203");
    assert_eq!(json["file"], "sub/b.yaml");
    assert_eq!(json["related"][0]["line"], 1);
}

#[test]
fn cycles_are_found_through_groups_and_told_once() {
    let text = "
- {id: /a/x, cmd: sleep 1, dependencies: [/b]}
- {id: /b/y, cmd: sleep 1, dependencies: [/c]}
- {id: /b/z, cmd: sleep 1}
- {id: /c, cmd: sleep 1, dependencies: [/a]}
- {id: /d, cmd: sleep 1, dependencies: [/d]}
- {id: /e, cmd: sleep 1, dependencies: [/a, /b, /nowhere]}
";
    let found = manifest::check_set(&read("c.yaml", text).apps);
    let messages: Vec<_> = found.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
    assert_eq!(
        messages,
        ["apps wait for each other: /a/x -> /b/y -> /c -> /a/x", "apps wait for each other: /d -> /d"]
    );
}

#[test]
fn long_chains_and_wide_groups_are_checked_in_no_time() {
    use std::fmt::Write as _;
    let mut text = String::from("- {id: /g/0, cmd: x}\n");
    for number in 1..10_000 {
        writeln!(text, "- {{id: /g/{number}, cmd: x, dependencies: [/g/{}, /h]}}", number - 1).expect("a string");
        writeln!(text, "- {{id: /h/{number}, cmd: x}}").expect("a string");
    }
    let reading = read("c.yaml", &text);
    assert_eq!(reading.apps.len(), 19_999);
    let begin = std::time::Instant::now();
    assert_eq!(manifest::check_set(&reading.apps), []);
    // Quadratic work would take minutes.
    assert!(begin.elapsed().as_secs() < 20);
}
