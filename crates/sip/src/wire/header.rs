//! Names of headers: full and compact forms (RFC 3261 §7.3.3, §20), any case.

macro_rules! headers {
    ($($name:ident = $text:literal $(| $compact:literal)?, $doc:literal;)+) => {
        /// A header we know by name. Any other keeps its text in the message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum HeaderName {
            $(#[doc = $doc] $name,)+
            /// Any other.
            Other,
        }

        impl HeaderName {
            /// Its full text; empty for one we do not know.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                    Self::Other => "",
                }
            }

            /// By its text, full or compact, in any case.
            pub fn of(text: &[u8]) -> Self {
                if let [letter] = text {
                    return match letter.to_ascii_lowercase() {
                        $($($compact => Self::$name,)?)+
                        _ => Self::Other,
                    };
                }
                // Length first: it rules out nearly all of them at the price of one comparison.
                $(if text.len() == $text.len() && text.eq_ignore_ascii_case($text.as_bytes()) { return Self::$name; })+
                Self::Other
            }
        }
    };
}

headers! {
    Via = "Via" | b'v', "RFC 3261 §20.42.";
    From = "From" | b'f', "RFC 3261 §20.20.";
    To = "To" | b't', "RFC 3261 §20.39.";
    CallId = "Call-ID" | b'i', "RFC 3261 §20.8.";
    CSeq = "CSeq", "RFC 3261 §20.16.";
    Contact = "Contact" | b'm', "RFC 3261 §20.10.";
    MaxForwards = "Max-Forwards", "RFC 3261 §20.22.";
    ContentLength = "Content-Length" | b'l', "RFC 3261 §20.14.";
    ContentType = "Content-Type" | b'c', "RFC 3261 §20.15.";
    ContentEncoding = "Content-Encoding" | b'e', "RFC 3261 §20.12.";
    ContentDisposition = "Content-Disposition", "RFC 3261 §20.11.";
    Route = "Route", "RFC 3261 §20.34.";
    RecordRoute = "Record-Route", "RFC 3261 §20.30.";
    Allow = "Allow", "RFC 3261 §20.5.";
    Supported = "Supported" | b'k', "RFC 3261 §20.37.";
    Require = "Require", "RFC 3261 §20.32.";
    ProxyRequire = "Proxy-Require", "RFC 3261 §20.29.";
    Unsupported = "Unsupported", "RFC 3261 §20.40.";
    UserAgent = "User-Agent", "RFC 3261 §20.41.";
    Server = "Server", "RFC 3261 §20.35.";
    Subject = "Subject" | b's', "RFC 3261 §20.36.";
    Expires = "Expires", "RFC 3261 §20.19.";
    RetryAfter = "Retry-After", "RFC 3261 §20.33.";
    Reason = "Reason", "RFC 3326.";
    Warning = "Warning", "RFC 3261 §20.43.";
    Accept = "Accept", "RFC 3261 §20.1.";
    WwwAuthenticate = "WWW-Authenticate", "RFC 3261 §20.44.";
    Authorization = "Authorization", "RFC 3261 §20.7.";
    ProxyAuthenticate = "Proxy-Authenticate", "RFC 3261 §20.27.";
    ProxyAuthorization = "Proxy-Authorization", "RFC 3261 §20.28.";
    SessionExpires = "Session-Expires" | b'x', "RFC 4028.";
    MinSe = "Min-SE", "RFC 4028.";
    PAssertedIdentity = "P-Asserted-Identity", "RFC 3325.";
    PPreferredIdentity = "P-Preferred-Identity", "RFC 3325.";
    RemotePartyId = "Remote-Party-ID", "Widely used, never an RFC.";
    Privacy = "Privacy", "RFC 3323.";
    Diversion = "Diversion", "RFC 5806.";
    HistoryInfo = "History-Info", "RFC 7044.";
    ReferTo = "Refer-To" | b'r', "RFC 3515.";
    ReferredBy = "Referred-By" | b'b', "RFC 3892.";
    Replaces = "Replaces", "RFC 3891.";
    Event = "Event" | b'o', "RFC 6665.";
    RSeq = "RSeq", "RFC 3262.";
    RAck = "RAck", "RFC 3262.";
    AlertInfo = "Alert-Info", "RFC 3261 §20.4.";
    UserToUser = "User-to-User", "RFC 7433.";
    Date = "Date", "RFC 3261 §20.17.";
    Timestamp = "Timestamp", "RFC 3261 §20.38.";
}

impl HeaderName {
    /// At most one line of it may be in a message, for two that differ would be read differently by different peers.
    pub(crate) const fn is_single(self) -> bool {
        matches!(
            self,
            Self::From
                | Self::To
                | Self::CallId
                | Self::CSeq
                | Self::ContentLength
                | Self::MaxForwards
                | Self::ContentType
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case_and_in_compact_form_7_3_3() {
        for (text, name) in [
            ("via", HeaderName::Via),
            ("V", HeaderName::Via),
            ("CALL-id", HeaderName::CallId),
            ("i", HeaderName::CallId),
            ("X", HeaderName::SessionExpires),
            ("Content-Length", HeaderName::ContentLength),
            ("X-Anything", HeaderName::Other),
            ("z", HeaderName::Other),
            ("", HeaderName::Other),
        ] {
            assert_eq!(HeaderName::of(text.as_bytes()), name, "{text}");
        }
    }
}
