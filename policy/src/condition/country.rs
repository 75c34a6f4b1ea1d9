//! `country`: where the far end's address is, by its two letters.

use std::{borrow::Cow, fmt};

use super::{Condition, Handle, Kind, Meaning, Offer, Reader};
use crate::{
    Country, Known, Request,
    diagnostic::quoted,
    document::{QuotedList, Value},
    fact::{Fact, FactSet},
    truth::{Sense, Truth},
};

pub(super) const KIND: Kind = Kind {
    key: "country",
    read,
    found: |request| match request.country {
        Known::Unknown => "not known".to_owned(),
        Known::Is(None) => "none".to_owned(),
        Known::Is(Some(country)) => country.to_string(),
    },
    offer: Some(|request, index| {
        index(match &request.country {
            Known::Unknown => Offer::Unknown,
            Known::Is(country) => Offer::Names(
                country
                    .iter()
                    .map(|country| country.as_str().into())
                    .collect(),
            ),
        });
    }),
};

/// ISO 3166-1, and XK, which databases have for Kosovo.
const CODES: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT \
    BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH \
    ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT \
    HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS \
    LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI \
    NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG \
    SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG \
    UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW XK";

/// What people write instead.
const MEANT: [(&str, &str); 2] = [("UK", "GB"), ("EL", "GR")];

#[derive(Debug)]
struct Countries(Vec<Country>);

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    let strings = value.strings(reader.findings)?;
    let count = strings.len();
    let mut countries = Vec::with_capacity(count);
    for (text, span) in strings {
        match country(text) {
            Ok(country) if countries.contains(&country) => {
                let message = format!("{} is listed twice", quoted(text));
                reader.findings.error(span, message);
            }
            Ok(country) => countries.push(country),
            Err(fault) => reader.findings.error(span, fault),
        }
    }
    (countries.len() == count).then(|| Box::new(Countries(countries)) as Box<dyn Condition>)
}

fn country(text: &str) -> Result<Country, String> {
    let upper = text.to_ascii_uppercase();
    let known = Country::new(text).filter(|_| CODES.split_whitespace().any(|code| code == upper));
    known.ok_or_else(|| {
        let meant = MEANT.iter().find(|(wrong, _)| *wrong == upper);
        let hint = meant.map_or_else(String::new, |(_, code)| format!(" (did you mean {code}?)"));
        format!(
            "there is no country {}{hint}; write the two letters of ISO 3166-1, such as \"CH\"",
            quoted(text)
        )
    })
}

impl Condition for Countries {
    fn truth(&self, request: &Request<'_>, _sense: Sense) -> Truth {
        match request.country {
            Known::Unknown => Truth::Unknown,
            Known::Is(country) => country
                .is_some_and(|country| self.0.contains(&country))
                .into(),
        }
    }

    fn facts(&self) -> FactSet {
        FactSet::of(Fact::Country)
    }

    fn meaning(&self) -> Meaning<'_> {
        Meaning::of(self.handle(), true)
    }

    fn handle(&self) -> Handle<'_> {
        Handle::Names(Cow::Owned(self.words()))
    }
}

impl Countries {
    fn words(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl fmt::Display for Countries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        QuotedList(&self.words()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_of_iso_3166_and_no_other() {
        assert_eq!(CODES.split_whitespace().count(), 250);
        for (text, printed) in [("CH", "CH"), ("ch", "CH"), ("ZW", "ZW"), ("XK", "XK")] {
            assert_eq!(country(text).map(|c| c.to_string()), Ok(printed.into()));
        }
        for text in [
            "",
            "C",
            "CHE",
            "AA",
            "XX",
            "EU",
            "UK",
            "É",
            "C\u{130}",
            "Switzerland",
        ] {
            assert!(country(text).is_err(), "{text}");
        }
        assert!(country("uk").unwrap_err().contains("did you mean GB?"));
    }
}
