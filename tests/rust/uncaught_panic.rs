//! A panic that nobody catches prints its message and ends the program with 101.

fn main() {
    let number: Result<u32, _> = "not a number".parse::<u32>();
    println!("before");
    println!("{}", number.expect("a number"));
}
