//! Positions on the globe. Pure arithmetic; it knows no database.

/// Mean radius of the earth (IUGG), in kilometres.
const EARTH: f64 = 6_371.0;

/// A point on the globe, and how far from it the truth may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// Millionths of a degree north, −90,000,000 to 90,000,000.
    latitude: i32,
    /// Millionths of a degree east, −180,000,000 to 180,000,000.
    longitude: i32,
    /// Kilometres around it within which the far end is expected.
    reach: u16,
}

impl Position {
    /// A point given in degrees; `None` if there is no such point.
    pub fn of(latitude: f64, longitude: f64, reach: u16) -> Option<Self> {
        let within = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        // Not a number is within nothing; what is fits in the integers.
        within.then(|| Self {
            latitude: millionths(latitude),
            longitude: millionths(longitude),
            reach,
        })
    }

    /// A point given in millionths of a degree; `None` if there is no such point.
    pub fn from_millionths(latitude: i32, longitude: i32, reach: u16) -> Option<Self> {
        let within =
            latitude.unsigned_abs() <= 90_000_000 && longitude.unsigned_abs() <= 180_000_000;
        within.then_some(Self {
            latitude,
            longitude,
            reach,
        })
    }

    /// Latitude and longitude, in millionths of a degree.
    pub const fn millionths(&self) -> (i32, i32) {
        (self.latitude, self.longitude)
    }

    /// Kilometres around it within which the far end is expected.
    pub const fn reach(&self) -> u16 {
        self.reach
    }

    /// Kilometres to `other` along a great circle, centre to centre (haversine formula).
    pub fn distance(&self, other: &Self) -> f64 {
        let radians = |millionths: i32| (f64::from(millionths) / 1e6).to_radians();
        let (here, there) = (radians(self.latitude), radians(other.latitude));
        let half_north = (there - here) / 2.0;
        let half_east = (radians(other.longitude) - radians(self.longitude)) / 2.0;
        let chord = half_north.sin().powi(2) + here.cos() * there.cos() * half_east.sin().powi(2);
        2.0 * EARTH * chord.clamp(0.0, 1.0).sqrt().asin()
    }

    /// Kilometres that lie between the two at least, whatever the errors of both.
    pub fn separation(&self, other: &Self) -> f64 {
        let errors = f64::from(self.reach) + f64::from(other.reach);
        (self.distance(other) - errors).max(0.0)
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "at most 180 million, which an i32 holds"
)]
fn millionths(degrees: f64) -> i32 {
    (degrees * 1e6).round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_atlas() {
        let zurich = Position::of(47.3769, 8.5417, 0).unwrap();
        let new_york = Position::of(40.7128, -74.0060, 0).unwrap();
        let sydney = Position::of(-33.8688, 151.2093, 0).unwrap();
        for (from, to, atlas) in [
            (zurich, new_york, 6_325.0),
            (zurich, sydney, 16_560.0),
            (zurich, zurich, 0.0),
        ] {
            assert!(
                (from.distance(&to) - atlas).abs() < 30.0,
                "{}",
                from.distance(&to)
            );
            assert!((from.distance(&to) - to.distance(&from)).abs() < 1e-6);
        }
        let poles = Position::of(90.0, 0.0, 0)
            .unwrap()
            .distance(&Position::of(-90.0, 180.0, 0).unwrap());
        assert!((poles - 20_015.0).abs() < 1.0, "{poles}");
    }

    #[test]
    fn the_date_line_is_no_distance() {
        let west = Position::of(0.0, 179.99, 0).unwrap();
        let east = Position::of(0.0, -179.99, 0).unwrap();
        assert!(west.distance(&east) < 3.0);
    }

    #[test]
    fn what_both_may_be_off_is_taken_from_their_distance() {
        let here = Position::of(0.0, 0.0, 100).unwrap();
        let there = Position::of(0.0, 10.0, 200).unwrap();
        assert!((here.distance(&there) - here.separation(&there) - 300.0).abs() < 1e-9);
        let wide = Position::of(0.0, 10.0, 5_000).unwrap();
        assert!(here.separation(&wide).abs() < 1e-9);
    }

    #[test]
    fn there_is_no_point_beyond_the_poles() {
        for (latitude, longitude) in [
            (90.1, 0.0),
            (0.0, 180.1),
            (f64::NAN, 0.0),
            (0.0, f64::INFINITY),
        ] {
            assert_eq!(Position::of(latitude, longitude, 0), None);
        }
        assert_eq!(Position::from_millionths(i32::MIN, 0, 0), None);
    }
}
