//! Amounts of what a machine has. Fixed-point, like Mesos itself: adding and subtracting never drifts.

use std::fmt;
use std::ops::{AddAssign, SubAssign};

/// An amount in thousandths of its unit: cpus, MiB, gpus. Mesos keeps three decimals, too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Scalar(pub u64);

impl Scalar {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// `whole` units.
    pub const fn whole(whole: u64) -> Self {
        Self(whole * 1000)
    }

    /// The nearest thousandth; what is negative, not a number or absurdly large becomes the nearest bound.
    pub fn from_f64(units: f64) -> Self {
        // `as` saturates and takes NaN to 0; 2^53 thousandths is where f64 stops counting exactly.
        Self(((units * 1000.0).round() as u64).min(1 << 53))
    }

    /// The amount in its unit.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The difference, or nothing.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // f64's own display prints the shortest text: 1, 0.1, 0.125.
        write!(f, "{}", self.as_f64())
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The scalar resources of a task, an offer or an agent. Ports are apart: see [`crate::port::PortSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Resources {
    /// Processors.
    pub cpus: Scalar,
    /// Memory, MiB.
    pub mem: Scalar,
    /// Disk, MiB.
    pub disk: Scalar,
    /// Graphics processors.
    pub gpus: Scalar,
}

impl Resources {
    /// Nothing at all.
    pub const NONE: Self = Self { cpus: Scalar::ZERO, mem: Scalar::ZERO, disk: Scalar::ZERO, gpus: Scalar::ZERO };

    /// Whether `need` fits in here.
    pub fn covers(&self, need: &Self) -> bool {
        self.cpus >= need.cpus && self.mem >= need.mem && self.disk >= need.disk && self.gpus >= need.gpus
    }

    /// What is left after taking `part`; nothing where `part` is more.
    #[must_use]
    pub fn saturating_sub(&self, part: &Self) -> Self {
        Self {
            cpus: self.cpus.saturating_sub(part.cpus),
            mem: self.mem.saturating_sub(part.mem),
            disk: self.disk.saturating_sub(part.disk),
            gpus: self.gpus.saturating_sub(part.gpus),
        }
    }

    /// The smaller of each.
    #[must_use]
    pub fn min(&self, other: &Self) -> Self {
        Self {
            cpus: self.cpus.min(other.cpus),
            mem: self.mem.min(other.mem),
            disk: self.disk.min(other.disk),
            gpus: self.gpus.min(other.gpus),
        }
    }
}

impl AddAssign<&Self> for Resources {
    fn add_assign(&mut self, other: &Self) {
        self.cpus.0 += other.cpus.0;
        self.mem.0 += other.mem.0;
        self.disk.0 += other.disk.0;
        self.gpus.0 += other.gpus.0;
    }
}

impl SubAssign<&Self> for Resources {
    /// Saturates: check [`Resources::covers`] first where less than nothing would be a mistake.
    fn sub_assign(&mut self, other: &Self) {
        *self = self.saturating_sub(other);
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cpus, {} MiB mem", self.cpus, self.mem)?;
        if self.disk > Scalar::ZERO {
            write!(f, ", {} MiB disk", self.disk)?;
        }
        if self.gpus > Scalar::ZERO {
            write!(f, ", {} gpus", self.gpus)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenths_add_up() {
        let mut sum = Resources::NONE;
        for _ in 0..10 {
            sum += &Resources { cpus: Scalar::from_f64(0.1), ..Resources::NONE };
        }
        assert_eq!(sum.cpus, Scalar::whole(1));
        assert_eq!(Scalar::from_f64(0.125).to_string(), "0.125");
        assert_eq!(Scalar::from_f64(f64::NAN), Scalar::ZERO);
    }
}
