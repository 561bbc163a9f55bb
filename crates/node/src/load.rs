//! The configuration file, read and compiled.
//!
//! Refuses to know: what the keys mean; what is done with the result.

use crate::clock::Clock;
use crate::streams::TlsPlan;
use edge::ShadowPolicy;
use edge::config::{self, Settings, Severity};
use media::recording::{BYTES_MAX, NoRecording, Recording};
use model::Wall;
use std::path::Path;
use std::sync::Arc;

/// A configuration that can be used.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// It.
    pub(crate) settings: Settings,
    /// What was hardly meant, one line each.
    pub(crate) warnings: Vec<String>,
    /// Its certificates, read from their files.
    pub(crate) tls: TlsPlan,
}

/// A configuration that cannot be used.
#[derive(Clone, Debug)]
pub struct Refused {
    /// How many faults it has.
    pub faults: u32,
    /// The first of them, in one line.
    pub first: String,
    /// All of them, as people read them.
    pub text: String,
}

/// Reads and compiles a file; numbers of `before` are kept for names that stay.
pub(crate) fn file(path: &Path, before: Option<&Settings>) -> Result<Loaded, Refused> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let first = format!("{name}: {error}; give the path of a configuration that this user may read");
        Refused { faults: 1, text: first.clone(), first }
    })?;
    let wall = Clock::start().wall();
    let mut loaded = self::text(&name, &text, before)?;
    loaded.tls = certificates(&loaded.settings, path, wall)?;
    loaded.warnings.extend(loaded.tls.warnings(wall));
    add_users(&mut loaded.settings, path)?;
    add_announcement(&mut loaded.settings, path)?;
    if let Some(shadow) = loaded.settings.shadow_file.clone() {
        let beside = path.parent().unwrap_or_else(|| Path::new("")).join(shadow);
        add_shadow(&mut loaded, &beside, before.is_none())?;
    }
    Ok(loaded)
}

/// Reads the files of certificates, of users and of the announcement that a configuration names, relative to its own folder.
///
/// Returns what is worth a word although it works, a line each.
///
/// # Errors
/// Every fault, each with what to do about it.
pub fn files(settings: &Settings, path: &Path) -> Result<Vec<String>, Refused> {
    let wall = Clock::start().wall();
    let mut settings_with_files = settings.clone();
    add_users(&mut settings_with_files, path)?;
    add_announcement(&mut settings_with_files, path)?;
    certificates(settings, path, wall).map(|tls| tls.warnings(wall))
}

/// Reads the users who register. Without them they would all be refused, so that a faulty file is a faulty configuration.
fn add_users(settings: &mut Settings, path: &Path) -> Result<(), Refused> {
    let Some(users) = settings.users_file.clone() else { return Ok(()) };
    let path = path.parent().unwrap_or_else(|| Path::new("")).join(users);
    let name = path.display();
    let one = |text: String| Refused { faults: 1, first: text.clone(), text };
    let text = std::fs::read_to_string(&path).map_err(|error| {
        one(format!("{name}: {error}; `users` in [registrar] must name a file that this user may read"))
    })?;
    let Some(rules) = &mut settings.registrar else { return Ok(()) };
    config::users(&text, Arc::make_mut(rules)).map(|_| ()).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(|fault| format!("{name}: {fault}")).collect();
        let first = lines.first().cloned().unwrap_or_default();
        Refused { faults: lines.len() as u32, first, text: lines.join("\n") }
    })
}

/// Reads the recording for whoever waits. A call must not find out that it cannot be played.
fn add_announcement(settings: &mut Settings, path: &Path) -> Result<(), Refused> {
    let Some(file) = settings.announcement_file.clone() else { return Ok(()) };
    let path = path.parent().unwrap_or_else(|| Path::new("")).join(file);
    let name = path.display();
    let refused = |text: String| Refused { faults: 1, first: text.clone(), text };
    let size = std::fs::metadata(&path).map(|about| about.len()).map_err(|error| {
        refused(format!("{name}: {error}; `announcement` in [edge] must name a WAV file that this user may read"))
    })?;
    if size > BYTES_MAX as u64 {
        return Err(refused(format!("{name}: `announcement` in [edge]: {}", NoRecording::TooLong)));
    }
    let bytes = std::fs::read(&path).map_err(|error| refused(format!("{name}: {error}")))?;
    let recording = Recording::from_wav(&bytes);
    let recording = recording.map_err(|error| refused(format!("{name}: `announcement` in [edge]: {error}")))?;
    Arc::make_mut(&mut settings.profiles).announcement = Some(recording);
    Ok(())
}

pub(crate) fn certificates(settings: &Settings, path: &Path, wall: Wall) -> Result<TlsPlan, Refused> {
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    TlsPlan::read(settings, folder, wall).map_err(|faults| Refused {
        faults: faults.len() as u32,
        first: faults.first().cloned().unwrap_or_default(),
        text: faults.join("\n"),
    })
}

/// Reads the second policy. It is never a reason to refuse a reload, and a faulty one none to refuse a start: the edge then
/// runs without it and says why. Only a file that is not there at the start is refused, since that is a name mistyped.
fn add_shadow(loaded: &mut Loaded, path: &Path, start: bool) -> Result<(), Refused> {
    let name = path.display().to_string();
    let off = "the edge runs without a shadow policy";
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let first =
                format!("{name}: {error}; `shadow` in [edge] must name a configuration that this user may read");
            if start {
                return Err(Refused { faults: 1, text: first.clone(), first });
            }
            loaded.warnings.push(format!("{first}; {off}"));
            return Ok(());
        }
    };
    match self::text(&name, &text, None) {
        Ok(other) => {
            loaded.warnings.extend(other.warnings);
            loaded.settings.shadow = Some(Arc::new(ShadowPolicy::new(&loaded.settings, &other.settings)));
        }
        Err(refused) => loaded.warnings.push(format!("{}\n{off}", refused.text)),
    }
    Ok(())
}

/// Compiles a text.
pub(crate) fn text(name: &str, text: &str, before: Option<&Settings>) -> Result<Loaded, Refused> {
    let compiled = config::compile(text, name, &secret, before);
    let one_line = |wanted: Severity| {
        let of_kind = compiled.faults.iter().filter(move |fault| fault.severity == wanted);
        of_kind.map(ToString::to_string).collect::<Vec<String>>()
    };
    let Some(settings) = compiled.settings.clone() else {
        let errors = one_line(Severity::Error);
        return Err(Refused {
            faults: errors.len() as u32,
            first: errors.into_iter().next().unwrap_or_default(),
            text: config::render(&compiled.faults, text, name),
        });
    };
    Ok(Loaded { settings, warnings: one_line(Severity::Warning), tls: TlsPlan::default() })
}

/// Secrets that the file names as `env:NAME`.
#[allow(clippy::disallowed_methods, reason = "this is the one place that reads secrets from the environment")]
fn secret(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, clippy::panic)]

    use super::*;
    use std::fs;
    use std::path::PathBuf;

    const LIVE: &str = "[edge]\nshadow = \"other.toml\"\n[listen.wan]\nsip = [\"udp:192.0.2.1:5060\"]\n\
        [trunk.acme]\nat = \"sip:192.0.2.31:5060\"\nlisten = \"wan\"\n\
        [group.carriers]\ntiers = [[\"acme\"]]\nalone = true\n[[route]]\nto = \"carriers\"\n";

    /// A folder with a live configuration, and another one when there is a text for it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str, other: Option<&str>) -> Self {
            let path = std::env::temp_dir().join(format!("load-test-{}-{test}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder");
            fs::write(path.join("edge.toml"), LIVE).expect("a file");
            if let Some(text) = other {
                fs::write(path.join("other.toml"), text).expect("a file");
            }
            Self(path)
        }

        fn load(&self, before: Option<&Settings>) -> Result<Loaded, Refused> {
            file(&self.0.join("edge.toml"), before)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _gone = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_shadow_is_read_from_beside_the_live_file() {
        let other = LIVE
            .replace("shadow = \"other.toml\"", "")
            .replace("5060\"\nlisten", "5060\"\nprobe = { fall = 2 }\nlisten");
        let loaded = Folder::new("good", Some(&other)).load(None).unwrap_or_else(|refused| panic!("{}", refused.text));
        let shadow = loaded.settings.shadow.expect("a second policy");
        let fall = |shape: &decide::Shape| shape.trunk(model::TrunkId(0)).map(|acme| acme.health.fall);
        assert_eq!((fall(&shadow.shape), fall(&loaded.settings.shape)), (Some(2), Some(3)));
    }

    #[test]
    fn a_faulty_shadow_is_told_by_its_own_name_and_touches_nothing() {
        let folder = Folder::new("faulty", Some("[edge]\nnmae = \"x\"\n"));
        let loaded = folder.load(None).unwrap_or_else(|refused| panic!("{}", refused.text));
        assert_eq!(loaded.settings.shadow, None);
        let told = loaded.warnings.join("\n");
        assert!(told.contains("other.toml") && told.contains("nmae") && told.contains("without a shadow"), "{told}");
    }

    #[test]
    fn an_announcement_is_read_when_the_file_is_and_refused_with_its_name() {
        let folder = Folder::new("announcement", Some(""));
        let text = LIVE.replace("shadow = \"other.toml\"", "announcement = \"one-moment.wav\"");
        fs::write(folder.0.join("edge.toml"), text).expect("a file");
        let missing = folder.load(None).expect_err("no such file").first;
        assert!(missing.contains("one-moment.wav") && missing.contains("`announcement` in [edge]"), "{missing}");
        fs::write(folder.0.join("one-moment.wav"), b"OggS").expect("a file");
        let foreign = folder.load(None).expect_err("no WAV").first;
        assert!(foreign.contains("one-moment.wav") && foreign.contains("convert it"), "{foreign}");
        let mut wav =
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x04\0\0\0".to_vec();
        wav.extend_from_slice(&[1, 0, 2, 0]);
        fs::write(folder.0.join("one-moment.wav"), wav).expect("a file");
        let loaded = folder.load(None).unwrap_or_else(|refused| panic!("{}", refused.text));
        assert!(loaded.settings.profiles.announcement.is_some());
    }

    #[test]
    fn a_missing_shadow_refuses_the_start_and_no_reload() {
        let folder = Folder::new("missing", None);
        let refused = folder.load(None).expect_err("a name mistyped");
        assert!(
            refused.first.contains("other.toml") && refused.first.contains("`shadow` in [edge]"),
            "{}",
            refused.first
        );
        fs::write(folder.0.join("other.toml"), LIVE).expect("a file");
        let before = folder.load(None).unwrap_or_else(|refused| panic!("{}", refused.text)).settings;
        fs::remove_file(folder.0.join("other.toml")).expect("gone");
        let after = folder.load(Some(&before)).unwrap_or_else(|refused| panic!("{}", refused.text));
        assert_eq!(after.settings.shadow, None);
        assert!(after.warnings.iter().any(|line| line.contains("without a shadow")), "{:?}", after.warnings);
    }

    /// A reload tells these lines and nothing of its own.
    #[test]
    fn what_waits_for_the_next_start_is_told_once_for_each_key() {
        let live = LIVE.replace("shadow = \"other.toml\"", "");
        let moved = live.replace("[edge]", "[edge]\napi = \"127.0.0.1:8061\"\ndata = \"elsewhere\"");
        let load = |config: &str, before: Option<&Settings>| {
            text("edge.toml", config, before).unwrap_or_else(|refused| panic!("{}", refused.text))
        };
        let before = load(&live, None).settings;
        let told = load(&moved, Some(&before)).warnings;
        for key in ["`api`", "`data`"] {
            assert_eq!(told.iter().filter(|line| line.contains(key)).count(), 1, "{told:?}");
        }
        assert_eq!(told.len(), load(&live, Some(&before)).warnings.len() + 2, "nothing else is new: {told:?}");
    }
}
