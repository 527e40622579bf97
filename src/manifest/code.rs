//! The codes of what can be wrong with a manifest. Each has a page in `docs/errors`, carried in the binary.

use std::fmt;

/// Declares the codes and, from the same lines, their numbers, titles and pages: none can be forgotten.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $title:literal;)*) => {
        /// What is wrong, as a stable code: `E0102`. Codes are never given another meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// As it is shown: `E0102`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $number,)*
                }
            }

            /// What it is about, in a few words.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                }
            }

            /// Its page: what it means, an example, what to do.
            pub fn page(self) -> &'static str {
                match self {
                    $(Self::$name => include_str!(concat!("../../docs/errors/", $number, ".md")),)*
                }
            }
        }
    };
}

codes! {
    /// The file is larger than Ekiden reads.
    FileTooLarge = "E0001", "file too large";
    /// The file is not UTF-8 text.
    NotText = "E0002", "not UTF-8 text";
    /// Neither YAML nor JSON.
    Syntax = "E0003", "syntax error";
    /// Too many documents in one file.
    TooManyDocuments = "E0004", "too many documents";
    /// Lists and maps nested too deep.
    TooDeep = "E0005", "nested too deep";
    /// Too many values, mostly by aliases of aliases.
    TooManyValues = "E0006", "too many values";
    /// A YAML tag.
    Tag = "E0007", "YAML tag";
    /// A key that stands twice in one map.
    DuplicateKey = "E0008", "duplicate key";
    /// A key that is no text.
    KeyNotText = "E0009", "key is no text";
    /// An alias that names nothing, or itself.
    BadAlias = "E0010", "bad alias";
    /// A file without any declaration.
    NothingDeclared = "E0011", "nothing declared";
    /// A file with so many errors that not all are shown.
    TooManyErrors = "E0012", "too many errors";
    /// A file or folder that cannot be read.
    Unreadable = "E0013", "not readable";
    /// A link that leads out of the directory of manifests.
    OutsideDirectory = "E0014", "outside the directory";
    /// A device, socket or pipe.
    NotAFile = "E0015", "not a regular file";
    /// More files than are read.
    TooManyFiles = "E0016", "too many files";
    /// A field that must be there is not.
    MissingField = "E0101", "missing field";
    /// A field that nobody knows.
    UnknownField = "E0102", "unknown field";
    /// A value of the wrong type.
    WrongType = "E0103", "wrong type";
    /// A number outside its bounds.
    OutOfRange = "E0104", "number out of range";
    /// None of the words allowed.
    UnknownWord = "E0105", "unknown word";
    /// A text of the wrong form or length.
    BadText = "E0106", "malformed text";
    /// A list that is too short, too long or says something twice.
    BadList = "E0107", "malformed list";
    /// Not the id of an app or group.
    BadId = "E0201", "malformed id";
    /// A member whose id lies outside its group.
    OutsideGroup = "E0202", "member outside its group";
    /// Two apps of one id.
    DuplicateId = "E0203", "duplicate id";
    /// An app and a group of one id.
    AppIsGroup = "E0204", "app and group of one id";
    /// Apps that wait for each other.
    DependencyCycle = "E0205", "dependency cycle";
    /// Neither a command nor arguments nor an image.
    NothingToRun = "E0301", "nothing to run";
    /// Fields that exclude each other.
    Exclusive = "E0302", "fields exclude each other";
    /// Ports that clash within an app.
    PortClash = "E0303", "ports clash";
    /// Networks that cannot be joined together.
    BadNetworks = "E0304", "networks do not go together";
    /// Ports declared in the form of another network mode.
    PortsMisplaced = "E0305", "ports in the wrong place";
    /// A check of a port that the app does not have.
    NoSuchPort = "E0306", "no such port";
    /// A placement constraint that cannot be meant.
    BadConstraint = "E0307", "bad constraint";
    /// A role that the app may not use.
    BadRole = "E0308", "bad role";
    /// A limit below the request.
    LimitBelowRequest = "E0309", "limit below the request";
    /// A field that does not go with the kind of container.
    WrongContainer = "E0310", "does not go with the container";
    /// Times that contradict each other.
    BadTiming = "E0311", "times contradict each other";
    /// An app that asks for one instance at most, and for more.
    SingleInstance = "E0312", "single-instance app";
    /// A check that asks for nothing, or for two things.
    BadCheck = "E0313", "bad check";
    /// A volume that is none, or of two kinds.
    BadVolume = "E0314", "bad volume";
    /// A rollout that could never take a step.
    RolloutStuck = "E0315", "rollout could never move";
    /// A field of Marathon's that Ekiden does not act on yet.
    NotYet = "E0401", "not supported yet";
    /// A field that Marathon dropped, too.
    Retired = "E0402", "no longer supported";
}

impl Code {
    /// The code that is shown as `text`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
