//! Where names of users and hosts come from in a static program.
//!
//! glibc loads the modules that the system's configuration names (nsswitch.conf(5)), such as systemd's. A static
//! program would load those of another glibc, which kills it: one with 2.36 got SIGFPE on a system with 2.41. What is in
//! glibc itself since 2.34 does without modules: files, and the resolver.

/// The databases, and what answers for them.
#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
const BUILT_IN: [(&std::ffi::CStr, &std::ffi::CStr); 5] = [
    (c"passwd", c"files"),
    (c"group", c"files"),
    (c"services", c"files"),
    (c"networks", c"files"),
    (c"hosts", c"files dns"),
];

#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
unsafe extern "C" {
    /// Says what answers for a database, whatever the system's configuration says (nss.h).
    fn __nss_configure_lookup(
        database: *const std::ffi::c_char,
        services: *const std::ffi::c_char,
    ) -> std::ffi::c_int;
}

/// Sees to it that a static program loads no modules. Call this before other threads start.
pub(crate) fn without_modules() {
    #[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
    for (database, services) in BUILT_IN {
        // SAFETY: both are strings that live for ever, and no other thread asks for names yet. If it refuses, all is
        // as the system's configuration says.
        unsafe { __nss_configure_lookup(database.as_ptr(), services.as_ptr()) };
    }
}
