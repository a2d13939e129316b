mod histogram;
mod whole;
