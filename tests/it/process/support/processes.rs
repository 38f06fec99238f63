//! The processes of a machine as `/proc` shows them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A process that belongs to a directory.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) id: u32,
    pub(crate) command_line: String,
}

impl Process {
    /// The processes whose command line names the directory or that work in it: Postgres's own children keep the
    /// working directory of their parent and give up its command line.
    pub(crate) fn of(directory: &Path) -> Vec<Self> {
        let name = directory.to_string_lossy();
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
            .filter_map(|id: u32| {
                let process = PathBuf::from(format!("/proc/{id}"));
                let command_line = fs::read(process.join("cmdline")).ok()?;
                let command_line = String::from_utf8_lossy(&command_line);
                // A whole script in a command line is nothing to read in a failure.
                let words = command_line.split('\0').filter(|word| !word.contains('\n'));
                let command_line = words.collect::<Vec<_>>().join(" ");
                let works_there = fs::read_link(process.join("cwd")).is_ok_and(|path| path.starts_with(directory));
                (works_there || command_line.contains(&*name)).then_some(Self { id, command_line })
            })
            .collect()
    }
}

/// The TCP ports that any of these processes listens on, of both families.
pub(crate) fn listening_ports(processes: &[u32]) -> BTreeSet<u16> {
    let sockets: BTreeSet<String> = processes
        .iter()
        .filter_map(|id| fs::read_dir(format!("/proc/{id}/fd")).ok())
        .flatten()
        .filter_map(|descriptor| {
            let target = fs::read_link(descriptor.ok()?.path()).ok()?;
            let socket = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(socket.to_owned())
        })
        .collect();
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| table.lines().filter_map(parse_listener).collect::<Vec<_>>())
        .filter_map(|(port, socket)| sockets.contains(&socket).then_some(port))
        .collect()
}

/// Reads a line of `/proc/net/tcp`: the port and the socket's number, if it is in the state LISTEN.
fn parse_listener(line: &str) -> Option<(u16, String)> {
    const LISTEN: &str = "0A";
    let fields: Vec<_> = line.split_whitespace().collect();
    let (_, port) = fields.get(1)?.rsplit_once(':')?;
    (*fields.get(3)? == LISTEN).then_some(())?;
    Some((u16::from_str_radix(port, 16).ok()?, (*fields.get(9)?).to_owned()))
}
