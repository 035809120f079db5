/**
 * JSON syntax errors in the words of Go's encoding/json (scanner.go), which are the words Docker answers with.
 */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';
}

/**
 * Parses one JSON value that may be followed by white space only.
 * @throws JsonSyntaxError with Go's message, e.g. `invalid character 'b' looking for beginning of object key string`
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new JsonSyntaxError(new Scan(text).complaint() ?? (cause as Error).message, { cause });
  }
}

function quote(character: string): string {
  if (character === "'") return `'\\''`;
  if (character === '"') return `'"'`;
  return `'${JSON.stringify(character).slice(1, -1)}'`;
}

class Complaint extends Error {}

/** Walks the text by JSON's grammar until the first character Go would refuse. */
class Scan {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  complaint(): string | undefined {
    try {
      this.#value();
      this.#space();
      if (this.#peek() !== undefined) this.#refuse('after top-level value');
      return undefined;
    } catch (error) {
      // Nesting deeper than the stack: Go has a limit of its own and a text for it.
      if (error instanceof RangeError) return 'exceeded max depth';
      if (error instanceof Complaint) return error.message;
      throw error;
    }
  }

  #peek(): string | undefined {
    const code = this.#text.codePointAt(this.#at);
    return code === undefined ? undefined : String.fromCodePoint(code);
  }

  #refuse(context: string): never {
    const character = this.#peek();
    if (character === undefined) throw new Complaint('unexpected EOF');
    throw new Complaint(`invalid character ${quote(character)} ${context}`);
  }

  #space(): void {
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? '')) this.#at++;
  }

  #value(): void {
    this.#space();
    const first = this.#peek();
    if (first === '{') this.#object();
    else if (first === '[') this.#array();
    else if (first === '"') this.#string();
    else if (first === 't') this.#literal('true');
    else if (first === 'f') this.#literal('false');
    else if (first === 'n') this.#literal('null');
    else if (first !== undefined && /[-0-9]/.test(first)) this.#number();
    else this.#refuse('looking for beginning of value');
  }

  #object(): void {
    this.#at++;
    this.#space();
    if (this.#peek() === '}') return void this.#at++;
    for (;;) {
      this.#space();
      if (this.#peek() !== '"') this.#refuse('looking for beginning of object key string');
      this.#string();
      this.#space();
      if (this.#peek() !== ':') this.#refuse('after object key');
      this.#at++;
      this.#value();
      this.#space();
      if (this.#peek() === '}') return void this.#at++;
      if (this.#peek() !== ',') this.#refuse('after object key:value pair');
      this.#at++;
    }
  }

  #array(): void {
    this.#at++;
    this.#space();
    if (this.#peek() === ']') return void this.#at++;
    for (;;) {
      this.#value();
      this.#space();
      if (this.#peek() === ']') return void this.#at++;
      if (this.#peek() !== ',') this.#refuse('after array element');
      this.#at++;
    }
  }

  #string(): void {
    for (this.#at++; ; this.#at++) {
      const character = this.#text[this.#at];
      if (character === '"') return void this.#at++;
      if (character === undefined || character < ' ') this.#refuse('in string literal');
      if (character !== '\\') continue;
      const escaped = this.#text[++this.#at];
      if (escaped === undefined || !'"\\/bfnrtu'.includes(escaped)) this.#refuse('in string escape code');
      if (escaped !== 'u') continue;
      for (let digits = 0; digits < 4; digits++) {
        if (!/[0-9a-fA-F]/.test(this.#text[++this.#at] ?? '')) {
          this.#refuse('in \\u hexadecimal character escape');
        }
      }
    }
  }

  #literal(word: string): void {
    for (let i = 0; i < word.length; i++, this.#at++) {
      if (this.#text[this.#at] !== word[i])
        this.#refuse(`in literal ${word} (expecting ${quote(word[i] ?? '')})`);
    }
  }

  #digits(context: string): void {
    if (!/[0-9]/.test(this.#text[this.#at] ?? '')) this.#refuse(context);
    while (/[0-9]/.test(this.#text[this.#at] ?? '')) this.#at++;
  }

  #number(): void {
    if (this.#peek() === '-') this.#at++;
    if (this.#peek() === '0') this.#at++;
    else this.#digits('in numeric literal');
    if (this.#peek() === '.') {
      this.#at++;
      this.#digits('after decimal point in numeric literal');
    }
    if (/[eE]/.test(this.#peek() ?? '')) {
      this.#at++;
      if (/[+-]/.test(this.#peek() ?? '')) this.#at++;
      this.#digits('in exponent of numeric literal');
    }
  }
}
