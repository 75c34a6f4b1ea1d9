//! The store's contract: one suite, run against every implementation. It knows the trait only.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod history;
mod judging;
mod keys;
mod lanes;
mod lifetimes;
mod people;
mod rig;
mod seals;
mod trust;

use std::{future::Future, os::unix::fs::PermissionsExt, pin::Pin, sync::Arc};

use mfad::store::{Options, Store, sqlite::SqliteStore};

type Case = fn(Arc<dyn Store>) -> Pin<Box<dyn Future<Output = ()>>>;

/// One test for each function named, against each implementation.
macro_rules! contract {
    ($($module:ident :: { $($case:ident),* $(,)? })*) => {
        mod sqlite {
            $($(
                #[test]
                fn $case() {
                    super::on_sqlite(|store| Box::pin(super::$module::$case(store)));
                }
            )*)*
        }
    };
}

contract! {
    judging::{
        a_right_code_is_accepted_once_and_recorded,
        a_step_at_or_below_the_last_is_a_replay,
        a_backup_code_is_burnt_once,
        the_same_code_64_times_at_once_is_accepted_once,
        the_same_backup_code_64_times_at_once_is_accepted_once,
        different_people_at_once_do_not_disturb_one_another,
        somebody_unknown_is_wrong_and_recorded,
        somebody_reset_meanwhile_is_wrong,
        pending_credentials_and_other_classes_are_not_shown_to_a_guess,
        a_match_that_was_not_shown_is_wrong,
        a_guess_that_panics_lets_nobody_in_and_breaks_nothing,
        refused_attempts_are_recorded_once_a_minute,
    }
    lanes::{
        the_third_failure_delays_and_a_delayed_code_is_not_looked_at,
        failures_of_one_lane_delay_no_other,
        a_login_makes_its_source_trusted_for_30_days,
        strangers_cannot_exhaust_what_is_reserved,
        an_answer_costs_what_the_guess_says,
        a_success_clears_the_delay_but_not_the_budget,
        backup_codes_are_never_disabled,
        a_source_is_limited_over_all_people_but_not_where_it_is_trusted,
        unlock_clears_delays_and_failures,
        a_clock_set_back_locks_nobody_out,
    }
    lifetimes::{
        an_offered_backup_set_replaces_the_old_one_when_activated,
        pending_credentials_are_activated_or_expire,
        too_many_pending_credentials_are_refused,
        a_login_is_noted,
        unlock_with_clock_sets_future_steps_back,
        the_audit_trail_is_filtered,
    }
    people::{
        nobody_is_found_where_nobody_is,
        an_added_credential_is_found,
        names_are_unique_without_case,
        names_are_chosen_and_numbered,
        another_uid_is_refused,
        sixteen_credentials_are_the_most,
        a_new_backup_set_replaces_the_old_one,
        renaming_keeps_names_unique,
        removing_the_last_factor_removes_the_backup_codes,
        reset_forgets_everything_but_the_audit_trail,
        people_are_listed_by_name_in_pages,
        enrolled_people_are_counted,
        what_is_too_long_is_refused,
        what_a_person_asks_for_is_kept_and_bounded,
        of_pending_credentials_of_one_person_the_oldest_makes_room,
    }
    history::{
        a_login_is_recalled,
        what_expires_is_not_recalled,
        only_a_proof_makes_a_device_known,
        a_login_that_teaches_nothing_leaves_its_date_only,
        networks_are_bounded_and_proven_ones_stay,
        the_same_login_many_times_within_a_second_is_counted,
        different_logins_within_a_second_are_all_learned_from,
        what_was_learned_is_not_new_any_more,
        failures_are_recalled_of_person_source_and_everybody,
        nobody_has_no_history,
    }
    keys::{
        a_signature_counter_never_goes_back,
        a_clone_is_an_alarm_in_the_trail,
        of_equal_signatures_at_once_one_is_accepted,
        a_key_that_is_vouched_for_moves_nothing,
        what_matches_must_fit_the_kind,
        failed_signatures_delay_nobody_and_are_counted,
        exhausted_codes_leave_the_key,
    }
    seals::{
        a_seal_is_replaced_only_where_it_still_is,
        people_are_walked_in_the_order_of_their_ids,
        the_key_of_all_records_is_noted,
    }
    trust::{
        a_remembered_device_is_found_until_it_expires,
        a_device_is_not_found_before_it_was_remembered,
        devices_of_others_are_not_found,
        remembering_again_prolongs,
        more_than_32_devices_push_the_oldest_out,
        one_device_is_revoked_or_all,
        what_a_factor_earned_goes_with_it,
        a_proof_holds_in_its_own_session_only,
        proofs_are_bounded_and_expire,
        a_proof_from_the_future_does_not_count,
        a_login_notes_which_device_it_used,
        nobody_can_be_given_a_device_or_a_proof,
    }
}

fn on_sqlite(case: Case) {
    let ours_alone = std::fs::Permissions::from_mode(0o700);
    let directory = tempfile::Builder::new()
        .permissions(ours_alone)
        .tempdir()
        .unwrap();
    let store = SqliteStore::open(&directory.path().join("mfa.db"), Options::default()).unwrap();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(case(Arc::new(store)));
}
