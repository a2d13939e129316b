mod admit;
mod frame;
mod intake;
mod seal;
mod settle;
