//! The cases. Each starts with no daemon, an empty log and no calls noted.

mod dialogue;
mod left_behind;
mod phases;
mod reach;

use crate::{
    Bed,
    daemon::CODE,
    host::{Reply, Transaction},
};

type Case = (&'static str, fn(&mut Bed));

/// All of them, in the order in which they run.
pub(crate) const ALL: &[Case] = &[
    ("a_right_code_opens_the_whole_stack", dialogue::right_code),
    ("a_wrong_code_is_denied", dialogue::wrong_code),
    (
        "the_daemon_is_told_who_and_given_this_process",
        dialogue::told_who,
    ),
    (
        "not_required_needs_a_proven_first_factor",
        phases::not_required,
    ),
    (
        "each_way_a_daemon_can_fail_denies",
        dialogue::failing_daemons,
    ),
    (
        "an_unreachable_daemon_denies_unless_the_administrator_says_otherwise",
        phases::unreachable,
    ),
    (
        "a_host_that_is_stopped_does_not_make_the_daemon_unreachable",
        phases::stopped,
    ),
    (
        "nor_does_one_that_is_stopped_while_the_bus_is_its_way",
        phases::stopped_on_the_bus,
    ),
    (
        "who_may_open_nothing_more_is_denied_whatever_the_administrator_lets_pass",
        reach::starved,
    ),
    (
        "a_try_that_is_refused_leaves_nothing_of_one_before_it",
        phases::second_try,
    ),
    ("break_glass_is_for_root_at_a_console", phases::break_glass),
    ("a_decoy_asks_alike_and_always_refuses", dialogue::decoy),
    ("a_bad_argument_denies_in_every_hook", phases::bad_arguments),
    ("no_answer_denies", dialogue::no_answer),
    ("silence_suppresses_information_only", dialogue::silence),
    ("an_answer_too_late_denies", dialogue::too_late),
    (
        "a_name_that_nobody_can_have_gets_an_unknown_user_s_dialogue",
        dialogue::strange_names,
    ),
    (
        "the_guard_judges_a_login_without_an_auth_phase",
        phases::guard,
    ),
    (
        "the_grant_goes_to_the_session_and_not_to_the_user",
        phases::grant,
    ),
    ("other_services_pass_without_asking", phases::unguarded),
    (
        "a_password_change_asks_once_and_keeps_what_was_decided",
        phases::password,
    ),
    (
        "what_one_user_has_proven_lets_no_other_change_a_password",
        phases::another_user,
    ),
    ("waiting_shows_the_cue_and_polls", dialogue::waiting),
    (
        "a_socket_that_is_not_root_s_is_not_trusted",
        reach::impostors,
    ),
    ("who_is_not_root_uses_the_other_socket", reach::as_a_user),
    (
        "without_a_socket_the_system_bus_serves",
        reach::over_the_bus,
    ),
    (
        "a_name_on_the_bus_with_a_strange_owner_is_not_trusted",
        reach::impostor_on_the_bus,
    ),
    (
        "the_caller_s_bus_address_is_not_followed",
        reach::foreign_bus,
    ),
    ("the_host_is_left_as_it_was", left_behind::host_hygiene),
    ("a_forked_child_can_authenticate_again", left_behind::forked),
    #[cfg(feature = "failpoints")]
    (
        "a_panic_in_any_hook_denies_and_the_host_lives",
        left_behind::panics,
    ),
];

const STACK: &str = "auth required MODULE\naccount required MODULE\npassword required MODULE\nsession required MODULE\n";

fn typed(service: &str, user: &str, code: &'static [u8]) -> Transaction {
    Transaction::start(service, Some(user.as_bytes()), [Reply::Type(code)])
}

fn auth(service: &str, user: &str) -> i32 {
    typed(service, user, CODE).authenticate()
}
