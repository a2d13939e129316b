//! A Rust file with code and comments told apart, and the functions in it.
//!
//! ```text
//! text      let s = "unsafe"; // no unsafe here
//! code      let s = "      ";
//! comments                    // no unsafe here
//! ```
//!
//! Both views have the lines and columns of the text; what belongs to the other, and what is inside a literal, is blank. That is
//! all the Rust a rule needs: it looks for words where words mean something. It refuses nothing: text that is not Rust gives
//! views that are not useful.

/// The two views of one file.
#[derive(Debug, Default)]
pub struct Source {
    /// Code; comments and the insides of literals are blank.
    pub code: String,
    /// Comments; everything else is blank.
    pub comments: String,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its `fn`, from 1.
    pub line: usize,
    /// Lines from `fn` to its closing brace, both counted.
    pub lines: usize,
}

impl Source {
    /// Tells code and comments of a text apart.
    pub fn split(text: &str) -> Self {
        let mut lexer = Lexer { chars: text.chars().collect(), at: 0, source: Self::default() };
        while lexer.at < lexer.chars.len() {
            lexer.step();
        }
        lexer.source
    }

    /// Lines of code with their numbers, from 1.
    pub fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        numbered(&self.code)
    }

    /// Lines of comment with their numbers, from 1.
    pub fn comment_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        numbered(&self.comments)
    }

    /// Every function that has a body, in the order of the text; inner functions and those of macro calls too.
    pub fn functions(&self) -> Vec<Function> {
        let code = self.code.as_str();
        let starts = words(code, "fn");
        starts.filter_map(|start| function(code, start)).collect()
    }
}

/// Lines with their numbers, from 1.
pub fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// Where `word` stands in `code` with no identifier character on either side.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let whole = move |&(start, _): &(usize, &str)| {
        let before = code[..start].chars().next_back();
        let after = code[start + word.len()..].chars().next();
        let joined = |side: Option<char>, edge: Option<char>| side.is_some_and(in_identifier) && edge.is_some_and(in_identifier);
        !joined(before, word.chars().next()) && !joined(after, word.chars().next_back())
    };
    code.match_indices(word).filter(whole).map(|(start, _)| start)
}

/// The identifier that follows the blank after `start`, empty when none does.
pub fn identifier_after(code: &str, start: usize) -> &str {
    let rest = code[start..].trim_start();
    let end = rest.find(|letter| !in_identifier(letter)).unwrap_or(rest.len());
    &rest[..end]
}

fn in_identifier(letter: char) -> bool {
    letter == '_' || letter.is_alphanumeric()
}

/// The function whose `fn` stands at `start`; none for a pointer type, a macro's `$name` and a signature without a body.
fn function(code: &str, start: usize) -> Option<Function> {
    let name = identifier_after(code, start + "fn".len());
    if name.is_empty() {
        return None;
    }
    let body = start + body_offset(&code[start..])?;
    let end = body + closing_offset(&code[body..])?;
    let newlines = |text: &str| text.matches('\n').count();
    Some(Function { name: name.to_owned(), line: newlines(&code[..start]) + 1, lines: newlines(&code[start..end]) + 1 })
}

/// Where the body opens: the first brace outside parentheses and brackets. A semicolon there means no body.
fn body_offset(code: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (offset, letter) in code.char_indices() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '{' if depth == 0 => return Some(offset),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Where the brace that opens `code` closes.
fn closing_offset(code: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (offset, letter) in code.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 1 => return Some(offset),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Which view a character goes to; the other gets a blank.
#[derive(Clone, Copy)]
enum View {
    Code,
    Comment,
    Neither,
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    source: Source,
}

impl Lexer {
    /// Takes one comment, one literal, or one character of code.
    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            (Some('/'), Some('/')) => self.take_while(View::Comment, |letter| letter != '\n'),
            (Some('/'), Some('*')) => self.block_comment(),
            (Some('"'), _) => self.string(),
            (Some('\''), _) => self.char_or_lifetime(),
            (Some('r'), Some('"' | '#')) if !self.follows_identifier() => self.raw_string(),
            _ => self.take(View::Code, 1),
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    /// Whether the `r` here ends a name, and so opens nothing. The prefixes `b` and `c` are no names.
    fn follows_identifier(&self) -> bool {
        let back = |count: usize| self.at.checked_sub(count).map(|at| self.chars[at]);
        match back(1) {
            Some('b' | 'c') => back(2).is_some_and(in_identifier),
            before => before.is_some_and(in_identifier),
        }
    }

    fn take(&mut self, view: View, count: usize) {
        for _ in 0..count {
            let Some(letter) = self.peek(0) else { return };
            // Line ends and tabs stay in both views, so that lines and columns agree.
            let blank = if letter.is_whitespace() { letter } else { ' ' };
            let (code, comment) = match view {
                View::Code => (letter, blank),
                View::Comment => (blank, letter),
                View::Neither => (blank, blank),
            };
            self.source.code.push(code);
            self.source.comments.push(comment);
            self.at += 1;
        }
    }

    fn take_while(&mut self, view: View, goes_on: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&goes_on) {
            self.take(view, 1);
        }
    }

    /// Block comments nest.
    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(letter) = self.peek(0) {
            let pair = (letter, self.peek(1));
            match pair {
                ('/', Some('*')) => depth += 1,
                ('*', Some('/')) => depth -= 1,
                _ => {}
            }
            let both = matches!(pair, ('/', Some('*')) | ('*', Some('/')));
            self.take(View::Comment, if both { 2 } else { 1 });
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.take(View::Code, 1);
        loop {
            match self.peek(0) {
                None => return,
                Some('"') => return self.take(View::Code, 1),
                Some('\\') => self.take(View::Neither, 2),
                Some(_) => self.take(View::Neither, 1),
            }
        }
    }

    /// `r"…"`, `r#"…"#`; a raw identifier such as `r#type` is code.
    fn raw_string(&mut self) {
        let mut hashes = 0;
        while self.peek(1 + hashes) == Some('#') {
            hashes += 1;
        }
        if self.peek(1 + hashes) != Some('"') {
            return self.take(View::Code, 1 + hashes);
        }
        self.take(View::Code, 2 + hashes);
        while self.peek(0).is_some() {
            let closes = self.peek(0) == Some('"') && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
            if closes {
                return self.take(View::Code, 1 + hashes);
            }
            self.take(View::Neither, 1);
        }
    }

    /// `'x'` and `'\n'` are literals; `'a` is a lifetime and code.
    fn char_or_lifetime(&mut self) {
        let escaped = self.peek(1) == Some('\\');
        if !escaped && self.peek(2) != Some('\'') {
            return self.take(View::Code, 1);
        }
        self.take(View::Code, 1);
        self.take(View::Neither, if escaped { 2 } else { 1 });
        self.take_while(View::Neither, |letter| letter != '\'');
        self.take(View::Code, 1);
    }
}

#[cfg(test)]
mod tests;
