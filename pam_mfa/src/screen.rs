//! Owns the conversation with the person through the host. It must never take a missing answer for an empty one.

use std::{os::fd::OwnedFd, time::Instant};

use mfad_protocol::{AgentTrouble, Style, limits};
use pam::{
    constants::{PAM_ERROR_MSG, PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON, PAM_TEXT_INFO},
    conv::Conv,
    module::PamHandle,
};
use zeroize::Zeroizing;

use crate::{agent, dialogue::Screen, transport::Answer};

/// The host's conversation function.
pub(crate) struct HostScreen<'a> {
    conversation: Option<Conv<'a>>,
    silent: bool,
}

impl<'a> HostScreen<'a> {
    pub(crate) fn of(pamh: &'a PamHandle, silent: bool) -> Self {
        Self {
            conversation: pamh.get_item::<Conv<'_>>().ok().flatten(),
            silent,
        }
    }
}

impl Screen for HostScreen<'_> {
    fn ask(&self, style: Style, text: &str) -> Option<Answer> {
        let style = match style {
            Style::Secret => PAM_PROMPT_ECHO_OFF,
            Style::Visible => PAM_PROMPT_ECHO_ON,
            Style::Info | Style::Error => return None,
        };
        // An error and a NULL are no answer (CVE-2021-31924 of `pam_u2f`: a NULL PIN was no PIN).
        let typed = self.conversation.as_ref()?.send(style, text).ok()??;
        let bytes = typed.as_bytes();
        Some(Zeroizing::new(
            bytes[..bytes.len().min(limits::ANSWER)].to_vec(),
        ))
    }

    fn tell(&self, style: Style, text: &str) {
        let style = match style {
            Style::Error => PAM_ERROR_MSG,
            // `PAM_SILENT` is about these alone: sudo sets it, and its users still must see errors and prompts.
            Style::Info if self.silent => return,
            Style::Info => PAM_TEXT_INFO,
            Style::Secret | Style::Visible => return,
        };
        if let Some(conversation) = &self.conversation {
            // A host may refuse to show a line, or answer it with nothing at all; neither changes the login.
            let _ = conversation.send(style, text);
        }
    }

    fn agent(&self, deadline: Instant) -> Result<OwnedFd, AgentTrouble> {
        agent::connect(deadline)
    }
}
