//! What can be wrong with a file or folder, before anybody looks inside.

use std::fmt;
use std::sync::Arc;

/// Declares the codes together with their numbers and pages: none can be forgotten.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        /// What is wrong, as a stable code: `E0501`. Codes are never given another meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ProblemCode {
            $($(#[$doc])* $name,)*
        }

        impl ProblemCode {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// As it is shown: `E0501`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $number,)*
                }
            }

            /// Its page: what it means, and what to do.
            pub fn page(self) -> &'static str {
                match self {
                    $(Self::$name => include_str!(concat!("../../docs/errors/", $number, ".md")),)*
                }
            }
        }
    };
}

codes! {
    /// The directory itself cannot be read.
    DirectoryUnreadable = "E0501";
    /// A folder in it cannot be read.
    FolderUnreadable = "E0502";
    /// A manifest cannot be read.
    FileUnreadable = "E0503";
    /// A link leads out of the directory.
    LinkLeaves = "E0504";
    /// A link leads to a folder.
    LinkToFolder = "E0505";
    /// A link leads nowhere.
    LinkBroken = "E0506";
    /// Neither a file nor a folder nor a link.
    SpecialFile = "E0507";
    /// A manifest is too large.
    FileTooLarge = "E0508";
    /// There is more in the directory than is read.
    DirectoryTooLarge = "E0509";
    /// Folders are nested too deep.
    FolderTooDeep = "E0510";
    /// A name is not UTF-8.
    NameNotText = "E0511";
}

impl ProblemCode {
    /// The code that is shown as `text`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One file or folder that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProblem {
    /// What kind of problem it is; its page says more.
    pub code: ProblemCode,
    /// The file or folder, relative to the directory of manifests; for the directory itself, as it was given.
    pub path: Arc<str>,
    /// What is wrong: a sentence fragment.
    pub message: String,
    /// What to do about it.
    pub hint: &'static str,
}

impl fmt::Display for FileProblem {
    /// On one line: for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]; {}", harmless(&self.path), harmless(&self.message), self.code, self.hint)
    }
}

/// `text` without control characters: names of files come from anybody and must not reach a terminal as they are.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_under_its_own_number() {
        for code in ProblemCode::ALL {
            assert!(code.page().starts_with(&format!("# {code}: ")), "{code}");
            assert_eq!(ProblemCode::parse(code.as_str()), Some(*code));
        }
    }

    #[test]
    fn a_hostile_name_does_not_reach_the_terminal() {
        let problem = FileProblem {
            code: ProblemCode::SpecialFile,
            path: "a\u{1b}[2J.yaml".into(),
            message: "is a pipe".into(),
            hint: "remove it",
        };
        assert_eq!(problem.to_string(), "a\u{fffd}[2J.yaml: is a pipe [E0507]; remove it");
    }
}
