//! What an introspection document says of our interfaces, as lines to compare, and the methods in it. It reads the subset
//! of XML that introspection is written in, and asks no daemon.

use std::collections::BTreeSet;

use crate::Failure;

/// Interfaces that every object has, which are not ours to describe.
const EVERY_OBJECTS: &str = "org.freedesktop.DBus.";

/// A method.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Method {
    /// Its interface.
    pub interface: String,
    /// Its name.
    pub member: String,
    /// Types of its arguments.
    pub signature: String,
}

/// One thing that a document says of an interface, without what only formats it.
type Line = String;

/// A tag, with its attributes in order.
#[derive(Debug)]
struct Tag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
    closing: bool,
    empty: bool,
}

impl<'a> Tag<'a> {
    fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes
            .iter()
            .find_map(|(key, value)| (*key == name).then_some(*value))
    }
}

/// What `document` says of every interface but those of all objects: each interface, method, signal, property, argument
/// (with its place, name, type and direction) and annotation.
///
/// # Errors
/// It is not a document of that kind.
pub fn described(document: &str) -> Result<BTreeSet<Line>, Failure> {
    let (mut lines, mut open) = (BTreeSet::new(), Vec::<(String, usize)>::new());
    for tag in tags(document)? {
        if tag.closing {
            open.pop();
            continue;
        }
        let place = match (tag.name, open.last_mut()) {
            ("arg", Some((_, arguments))) => {
                *arguments += 1;
                arguments.to_string()
            }
            _ => tag.attribute("name").unwrap_or_default().to_owned(),
        };
        let mut path = open
            .last()
            .map(|(path, _)| path.clone())
            .unwrap_or_default();
        // The object's path is not part of what its interfaces are.
        if tag.name != "node" {
            path = format!("{path} {} {place}", tag.name);
            let mut line = path.clone();
            let mut attributes = tag.attributes.clone();
            if tag.name == "arg"
                && tag.attribute("direction").is_none()
                && path.contains(" method ")
            {
                attributes.push(("direction", "in"));
            }
            attributes.sort_unstable();
            for (key, value) in attributes {
                line = format!("{line} {key}={value}");
            }
            if !path.contains(&format!(" interface {EVERY_OBJECTS}")) && !lines.insert(line.clone())
            {
                return Err(Failure::new(format!("twice in the document:{line}")));
            }
        }
        if !tag.empty {
            open.push((path, 0));
        }
    }
    if lines.is_empty() || !open.is_empty() {
        return Err(Failure::new("no whole introspection document"));
    }
    Ok(lines)
}

/// The methods of our interfaces.
///
/// # Errors
/// As [`described`].
pub fn methods(document: &str) -> Result<Vec<Method>, Failure> {
    let (mut methods, mut interface) = (Vec::<Method>::new(), "");
    for tag in tags(document)?.iter().filter(|tag| !tag.closing) {
        let name = tag.attribute("name").unwrap_or_default();
        match tag.name {
            "interface" => interface = name,
            "method" => methods.push(Method {
                interface: interface.to_owned(),
                member: name.to_owned(),
                signature: String::new(),
            }),
            "arg" if tag.attribute("direction") != Some("out") => {
                if let Some(method) = methods.last_mut() {
                    method
                        .signature
                        .push_str(tag.attribute("type").unwrap_or_default());
                }
            }
            _ => {}
        }
    }
    methods.retain(|method| !method.interface.starts_with(EVERY_OBJECTS));
    Ok(methods)
}

/// What one says and the other does not, with a sign for which.
pub fn differences(file: &BTreeSet<Line>, code: &BTreeSet<Line>) -> Vec<String> {
    let only = |sign: char, ours: &BTreeSet<Line>, theirs: &BTreeSet<Line>| -> Vec<String> {
        ours.difference(theirs)
            .map(|line| format!("{sign}{line}"))
            .collect()
    };
    [only('-', file, code), only('+', code, file)].concat()
}

fn tags(document: &str) -> Result<Vec<Tag<'_>>, Failure> {
    let broken = |at: &str| {
        let begin: String = at.chars().take(60).collect();
        Failure::new(format!("not XML as introspection has it, at: {begin}"))
    };
    let (mut tags, mut rest) = (Vec::new(), document);
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        let end = if rest.starts_with("<!--") { "-->" } else { ">" };
        let length = rest.find(end).ok_or_else(|| broken(rest))? + end.len();
        let (tag, after) = rest.split_at(length);
        if !tag.starts_with("<!") && !tag.starts_with("<?") {
            tags.push(read_tag(tag).ok_or_else(|| broken(tag))?);
        }
        rest = after;
    }
    Ok(tags)
}

fn read_tag(tag: &str) -> Option<Tag<'_>> {
    let inner = tag.strip_prefix('<')?.strip_suffix('>')?;
    let (inner, closing) = inner
        .strip_prefix('/')
        .map_or((inner, false), |rest| (rest, true));
    let (inner, empty) = inner
        .strip_suffix('/')
        .map_or((inner, false), |rest| (rest, true));
    let (name, mut rest) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        let (key, value) = rest.split_once('=')?;
        let quote = value
            .chars()
            .next()
            .filter(|quote| matches!(quote, '"' | '\''))?;
        let (value, after) = value[1..].split_once(quote)?;
        attributes.push((key.trim(), value));
        rest = after;
    }
    Some(Tag {
        name,
        attributes,
        closing,
        empty,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = include_str!("../../packaging/dbus/org.mfad.Mfad1.xml");

    /// Each with what it changes, as a textual replacement in the file.
    const CHANGES: &[(&str, &str)] = &[
        ("org.mfad.Mfad1.Enrollment", "org.mfad.Mfad1.Enrolment"),
        ("<method name=\"Rename\">", "<method name=\"Name\">"),
        (
            "<arg name=\"grant\" type=\"s\"",
            "<arg name=\"proof\" type=\"s\"",
        ),
        (
            "<arg name=\"limit\" type=\"u\"",
            "<arg name=\"limit\" type=\"t\"",
        ),
        (
            "name=\"step\" type=\"a{sv}\" direction=\"out\"",
            "name=\"step\" type=\"a{sv}\" direction=\"in\"",
        ),
        ("<arg name=\"clock\" type=\"b\" direction=\"in\"/>", ""),
        (
            "<method name=\"Reload\">",
            "<method name=\"Stop\"/><method name=\"Reload\">",
        ),
        (
            "<method name=\"Reload\">",
            "<method name=\"Reload\"><annotation name=\"org.freedesktop.DBus.Deprecated\" value=\"true\"/>",
        ),
        (
            "<interface name=\"org.mfad.Mfad1.Enrollment\">",
            "<interface name=\"org.mfad.Mfad1.Enrollment\"><signal name=\"Changed\"/>",
        ),
        (
            "<interface name=\"org.mfad.Mfad1.Enrollment\">",
            "<interface name=\"org.mfad.Mfad1.Enrollment\"><property name=\"Enrolled\" type=\"b\" access=\"read\"/>",
        ),
        (
            "<arg name=\"credential\" type=\"s\" direction=\"in\"/>\n      <arg name=\"grant\" type=\"s\" direction=\"in\"/>",
            "<arg name=\"grant\" type=\"s\" direction=\"in\"/>\n      <arg name=\"credential\" type=\"s\" direction=\"in\"/>",
        ),
    ];

    #[test]
    fn a_change_of_either_side_is_seen() {
        let file = described(FILE).unwrap();
        assert!(differences(&file, &file).is_empty());
        for (before, after) in CHANGES {
            let changed = FILE.replacen(before, after, 1);
            assert_ne!(changed, FILE, "nothing to change: {before}");
            let changed = described(&changed).unwrap();
            assert!(
                !differences(&file, &changed).is_empty(),
                "{before} -> {after}"
            );
            assert!(
                !differences(&changed, &file).is_empty(),
                "{before} -> {after}"
            );
        }
    }

    #[test]
    fn what_only_formats_is_no_difference() {
        let file = described(FILE).unwrap();
        let formatted = FILE.replace(" direction=\"in\"", "").replace("  ", "\t");
        let with_others = formatted.replace(
            "</node>",
            "<interface name=\"org.freedesktop.DBus.Peer\"><method name=\"Ping\"/></interface></node>",
        );
        assert_eq!(
            differences(&file, &described(&with_others).unwrap()),
            Vec::<String>::new()
        );
    }

    #[test]
    fn the_files_methods_are_found_with_their_types() {
        let methods = methods(FILE).unwrap();
        assert_eq!(methods.len(), FILE.matches("<method ").count());
        let respond = methods
            .iter()
            .find(|method| method.member == "Respond")
            .unwrap();
        assert_eq!(respond.signature, "saayah");
    }
}
