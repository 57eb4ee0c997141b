//! Certificates that nginx shows to people: one that is over is a server that is down.

use std::collections::BTreeSet;

use super::Me;
use crate::init::machine::run;
use crate::model::finding::Finding;

/// A renewal that works comes thirty days before the end; with this much left it did not.
const SOON: u32 = 14 * 24 * 3600;

/// Each certificate that nginx is configured with.
pub fn look(me: &Me) -> Vec<Finding> {
    if !me.root {
        return vec![Finding::not_checked("certificate", "nginx tells its configuration only to root")];
    }
    // Without nginx, or with one that is broken, the door's finding says so.
    let Ok(dump) = run(&["nginx", "-T"], "") else { return Vec::new() };
    named(&dump).iter().map(|path| certificate(path)).collect()
}

/// The files of `ssl_certificate`; a value with a variable is chosen at each request.
fn named(dump: &str) -> BTreeSet<String> {
    let values = dump.lines().filter_map(|line| line.trim().strip_prefix("ssl_certificate "));
    let paths = values.filter_map(|value| value.trim().strip_suffix(';')).map(|path| path.trim_matches(['"', '\'']));
    paths.filter(|path| path.starts_with('/') && !path.contains('$')).map(str::to_owned).collect()
}

fn certificate(path: &str) -> Finding {
    let x509 = |more: &[&str]| run(&[&["openssl", "x509", "-noout", "-in", path], more].concat(), "");
    let end = match x509(&["-enddate"]) {
        Ok(said) => said.trim().trim_start_matches("notAfter=").to_owned(),
        Err(failure) => {
            return Finding::not_checked("certificate", format!("{path}: {failure}"));
        }
    };
    let holds = |seconds: u32| x509(&["-checkend", &seconds.to_string()]).is_ok();
    judged(path, &end, holds(0), holds(SOON))
}

fn judged(path: &str, end: &str, now: bool, soon: bool) -> Finding {
    // It is certbot's, as nearly all are; elsewhere the command says that it is not.
    let mend = "sudo certbot renew && sudo systemctl reload nginx";
    match (now, soon) {
        (false, _) => Finding::bad("certificate", format!("{path} ended on {end}")).mend(mend),
        (true, false) => Finding::warning("certificate", format!("{path} ends on {end}")).mend(mend),
        (true, true) => Finding::ok("certificate", format!("{path} is valid until {end}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Level;

    #[test]
    fn files_are_found_and_variables_are_not() {
        let dump = "  ssl_certificate /etc/ssl/a.pem;\n ssl_certificate \"/etc/ssl/b.pem\";\nssl_certificate_key /k;\n\
                    ssl_certificate $chosen;\nssl_certificate /etc/ssl/a.pem;\n";
        assert_eq!(named(dump), ["/etc/ssl/a.pem".to_owned(), "/etc/ssl/b.pem".to_owned()].into());
    }

    #[test]
    fn a_certificate_ends_one_day() {
        assert_eq!(judged("/a", "May 1", true, true).level, Level::Ok);
        assert_eq!(judged("/a", "May 1", true, false).level, Level::Warning);
        assert_eq!(judged("/a", "May 1", false, false).what, "/a ended on May 1");
    }
}
