use super::*;
use crate::uring::Ring;

fn check(errno: i32, disabled: Option<u32>, words: &str) {
    let error = explain(io::Error::from_raw_os_error(errno), disabled);
    let text = error.to_string();
    assert!(text.contains(words), "errno {errno}, setting {disabled:?}: {text:?} lacks {words:?}");
    assert_eq!(error.reason(), Reason::Kernel);
}

#[test]
fn a_refusal_names_its_cause_and_what_to_type() {
    check(libc::EPERM, Some(2), "kernel.io_uring_disabled is 2; type `sysctl");
    check(libc::EPERM, Some(0), "seccomp");
    check(libc::EPERM, None, "seccomp");
    check(libc::ENOSYS, None, "CONFIG_IO_URING");
    check(libc::ENOMEM, Some(0), "ulimit -l");
    check(libc::EMFILE, Some(0), "ulimit -n");
    check(libc::EINVAL, Some(0), "6.1");
}

#[test]
fn the_first_missing_operation_is_named() {
    assert!(first_missing(&[("A", true), ("B", true)]).is_ok());
    let error = first_missing(&[("A", true), ("B", false), ("C", false)]).unwrap_err();
    assert!(error.to_string().contains("has no B;"), "{error}");
}

#[test]
fn a_ring_without_optional_features_says_so() {
    let setup = RingSetup { sq_entries: 8, cq_entries: 64 };
    let ring = Ring::with_optional(&setup, Optional::NONE).unwrap();
    assert_eq!(ring.optional(), Optional::NONE);
}

#[test]
fn absurd_sizes_are_clamped_and_none_is_refused() {
    Ring::new(&RingSetup { sq_entries: 8, cq_entries: 1 << 30 }).unwrap();
    let error = Ring::new(&RingSetup { sq_entries: 0, cq_entries: 64 }).map(drop).unwrap_err();
    assert!(matches!(error, SetupError::Os(_)), "{error}");
}
