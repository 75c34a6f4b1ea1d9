//! A daemon that follows a script: the user's name says what it does. It notes each call in a file, for the suite to
//! look at.

use std::{
    fs::OpenOptions,
    io::{IoSliceMut, Write},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::net::{UnixListener, UnixStream},
    },
    time::Duration,
};

use mfad_protocol::{Context, Hook, Message as Line, State, Step, Style};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};
use zbus::{
    Message,
    wire::{Endian, serialized},
};

/// What was called, a line each.
pub(crate) const CALLS: &str = "/run/calls";
/// How long "slow" waits for an answer: longer than the module waits for one.
pub(crate) const SLOW: Duration = Duration::from_millis(2600);
pub(crate) const CODE: &[u8] = b"123456";

/// Serves every connection to `listener`, for ever.
pub(crate) fn serve(listener: &UnixListener) -> ! {
    loop {
        let (stream, _) = listener.accept().unwrap();
        std::thread::spawn(move || {
            let _ = converse(&stream);
        });
    }
}

fn note(line: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(CALLS)
        .unwrap();
    writeln!(file, "{line}").unwrap();
}

fn converse(stream: &UnixStream) -> zbus::Result<()> {
    let mut user = String::new();
    while let Some(call) = receive(stream)? {
        let Some(reply) = answer(&call, &mut user)? else {
            return Ok(());
        };
        (&*stream).write_all(&reply)?;
    }
    note("end");
    Ok(())
}

/// The bytes to answer with; none hangs up.
pub(crate) fn answer(call: &Message, user: &mut String) -> zbus::Result<Option<Vec<u8>>> {
    let header = call.header();
    let member = header.member().map(ToString::to_string).unwrap_or_default();
    let step = match member.as_str() {
        "Begin" => {
            let (context, descriptors): (Context, Vec<zbus::OwnedFd>) =
                call.body().deserialize()?;
            note(&describe(&context, &descriptors));
            user.clone_from(&context.user);
            match user.as_str() {
                "mute" => std::thread::sleep(Duration::from_mins(1)),
                "slow" => std::thread::sleep(SLOW),
                "hangup" => return Ok(None),
                "garbage" => return Ok(Some(vec![b'x'; 64])),
                "huge" => {
                    let mut prefix = vec![b'l', 2, 0, 1];
                    prefix.extend(100_000_000_u32.to_le_bytes());
                    prefix.extend([0; 8]);
                    return Ok(Some(prefix));
                }
                "nonsense" => {
                    return Ok(Some(bytes(
                        &Message::method_return(&header).build(&42_u32)?,
                    )));
                }
                "refused" => {
                    let error = Message::error(&header, "org.freedesktop.DBus.Error.AccessDenied");
                    return Ok(Some(bytes(&error.build(&"no\nforged line")?)));
                }
                _ => {}
            }
            let step = begin(&context);
            let reply = Message::method_return(&header).build(&("session-1", step))?;
            return Ok(Some(bytes(&reply)));
        }
        "Respond" => {
            let (_, answers, _): (String, Vec<Vec<u8>>, Vec<zbus::OwnedFd>) =
                call.body().deserialize()?;
            note(&format!("Respond {answers:?}"));
            match user.as_str() {
                "midway" => return Ok(None),
                "wait" => granted(),
                _ if answers == [CODE] => granted(),
                _ => Step::of(State::Denied),
            }
        }
        _ => {
            note(&member);
            return Ok(Some(Vec::new()));
        }
    };
    Ok(Some(bytes(&Message::method_return(&header).build(&step)?)))
}

fn bytes(message: &Message) -> Vec<u8> {
    message.data().to_vec()
}

fn begin(context: &Context) -> Step {
    match (context.hook, context.user.as_str()) {
        (_, "none") => Step {
            grant: Some("g-none".into()),
            ..Step::of(State::NotRequired)
        },
        (_, "denied") => Step::of(State::Denied),
        (_, "unavailable") => Step::of(State::Unavailable),
        (Some(Hook::Auth), "wait") => Step {
            retry_after_ms: Some(50),
            ..lines(State::Wait, &[(Style::Info, "Touch your key.")])
        },
        (Some(Hook::Account | Hook::Session), _) if context.grant.as_deref() == Some("g-alice") => {
            lines(State::Granted, &[(Style::Info, "9 backup codes are left.")])
        }
        (Some(Hook::Account | Hook::Session), _) => Step::of(State::Denied),
        _ => lines(
            State::Continue,
            &[
                (Style::Info, "Hello."),
                (Style::Secret, "Verification code: "),
            ],
        ),
    }
}

fn granted() -> Step {
    Step {
        grant: Some("g-alice".into()),
        ..Step::of(State::Granted)
    }
}

fn lines(state: State, lines: &[(Style, &str)]) -> Step {
    Step {
        messages: lines
            .iter()
            .map(|(style, text)| Line {
                style: *style,
                text: (*text).to_owned(),
            })
            .collect(),
        ..Step::of(state)
    }
}

fn describe(context: &Context, descriptors: &[zbus::OwnedFd]) -> String {
    let processes: Vec<String> = descriptors.iter().map(process_of).collect();
    format!(
        "Begin hook={:?} service={:?} user={:?} uid={:?} guarded={:?} defer={:?} decoy={:?} grant={:?} processes={processes:?}",
        context.hook,
        context.service,
        context.user,
        context.real_uid,
        context.guarded,
        context.defer,
        context.decoy,
        context.grant,
    )
}

/// Whom a pidfd names, as the kernel tells it.
fn process_of(fd: &zbus::OwnedFd) -> String {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"));
    pid.map_or_else(|| "none".to_owned(), |pid| pid.trim().to_owned())
}

fn receive(stream: &UnixStream) -> zbus::Result<Option<Message>> {
    let (mut data, mut fds) = (Vec::new(), Vec::new());
    loop {
        if let Some(prefix) = data.get(..16) {
            let word =
                |at: usize| u32::from_le_bytes(prefix[at..at + 4].try_into().unwrap()) as usize;
            if data.len() >= (16 + word(12)).next_multiple_of(8) + word(4) {
                let context = serialized::Context::new(Endian::Little, 0);
                // SAFETY: zbus checks the message as it parses it; the descriptors came with it.
                return unsafe {
                    Message::from_bytes(serialized::Data::new_fds(data, context, fds))
                }
                .map(Some);
            }
        }
        let mut buffer = [0; 4096];
        let mut space = nix::cmsg_space!([RawFd; 4]);
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let message = recvmsg::<UnixAddr>(
            stream.as_raw_fd(),
            &mut slices,
            Some(&mut space),
            MsgFlags::MSG_CMSG_CLOEXEC,
        )
        .map_err(std::io::Error::from)?;
        for control in message.cmsgs().map_err(std::io::Error::from)? {
            if let ControlMessageOwned::ScmRights(received) = control {
                // SAFETY: received just now, owned by nobody else.
                fds.extend(
                    received
                        .into_iter()
                        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
                );
            }
        }
        let count = message.bytes;
        if count == 0 {
            return Ok(None);
        }
        data.extend_from_slice(&buffer[..count]);
    }
}

/// Serves on the system bus, for ever.
pub(crate) async fn serve_on_bus(mut ready: &std::fs::File) -> ! {
    use mfad_protocol::names;
    let address = format!("unix:path={}", names::SYSTEM_BUS_SOCKET);
    let connection = zbus::connection::Builder::address(address.as_str())
        .build()
        .await
        .unwrap();
    let mut stream = zbus::MessageStream::from(&connection);
    connection.request_name(names::BUS_NAME).await.unwrap();
    ready.write_all(b"ready").unwrap();
    let mut user = String::new();
    loop {
        let next = std::future::poll_fn(|cx| {
            zbus::export::futures_core::Stream::poll_next(std::pin::Pin::new(&mut stream), cx)
        });
        let Some(Ok(call)) = next.await else {
            // The bus is gone.
            std::process::exit(0);
        };
        if call.message_type() != zbus::message::Type::MethodCall {
            continue;
        }
        if let Some(reply) = answer(&call, &mut user)
            .unwrap()
            .filter(|bytes| !bytes.is_empty())
        {
            let context = serialized::Context::new(Endian::Little, 0);
            // SAFETY: built by zbus a moment ago, without descriptors.
            let reply =
                unsafe { Message::from_bytes(serialized::Data::new(reply, context)) }.unwrap();
            connection.send(&reply).await.unwrap();
        }
    }
}
