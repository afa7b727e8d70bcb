import { invalid, type Token } from './tokens.js';

/*
 * Where in HTML the tags of a template stand. Escaping makes a value safe in text and in quoted attributes; anywhere else it does not.
 * This follows the states of the HTML tokenizer as far as that needs, over the template's own text, which is trusted. It does not repair
 * broken HTML, does not know which elements exist, and says nothing about the static text.
 */

type State = 'text' | 'comment' | 'declaration' | 'raw' | 'name' | 'tag' | 'before value' | 'unquoted' | '"' | "'";

/** Elements whose text is a program, a style sheet, or not HTML. Their end tag alone ends them. */
const RAW_ELEMENTS = new Set(['script', 'style', 'xmp', 'iframe', 'noembed', 'noframes', 'plaintext']);
/**
 * Attributes that hold a program, a style sheet or a document, or in an SVG animation what any attribute becomes: escaping does not make a value
 * safe there.
 */
const CODE_ATTRIBUTE = /^(on.*|style|srcdoc|values|from|to|by)$/;
/** Attributes that hold an address. */
const URL_ATTRIBUTE = /^(href|src|srcset|action|formaction|background|poster|data|cite|ping|xlink:href)$/;
/**
 * How an address begins that no value after it can turn into a program or lead to another host: what follows a host's name may still belong to
 * it (`@evil.example`), and what follows a path's first slash may begin a host (`/evil.example`).
 */
const SAFE_START = /^(https?:\/\/[^/?#\\&\s]{1,300}[/?#]|\/[^/\\&\s]|mailto:|tel:|sms:|cid:|[?#])/i;

/** Reads a template's HTML from its beginning. */
class Reader {
  /** Values with which an address begins. */
  readonly links = new Set<Token>();
  readonly #path: string;
  #state: State = 'text';
  #element = '';
  #attribute = '';
  /** What stands in the attribute so far, but for values and leading blanks. */
  #value = '';
  /** The element is told to do what its `content` says: `http-equiv`, which may stand before or after it. */
  #obeysContent = false;
  /** A value in `content`. */
  #inContent: Token | undefined;
  /** A section ended within an attribute's name: nothing may be joined to it. */
  #nameEnds = false;

  constructor(path: string) {
    this.#path = path;
  }

  read(tokens: Token[]): void {
    // A mustache comment leaves nothing behind, so the text around it is one.
    let text = '';
    for (const token of tokens) {
      const [type, content, , , inner = []] = token;
      if (type === 'text') text += content;
      else if (type !== '!') {
        this.#static(text);
        text = '';
        if (type === 'name') this.#show(token);
        else this.#section(content, inner);
      }
    }
    this.#static(text);
  }

  get isInText(): boolean {
    return this.#state === 'text';
  }

  #show(token: Token): void {
    const tag = `{{${token[1]}}}`;
    if (this.#state === 'text') return;
    if (this.#state !== '"' && this.#state !== "'")
      throw invalid(this.#path, `${tag} stands where a value is not safe: values belong in text and in quoted attributes`);
    if (CODE_ATTRIBUTE.test(this.#attribute)) throw invalid(this.#path, `${tag} must not stand in the attribute ${this.#attribute}`);
    if (this.#attribute === 'content') this.#inContent ??= token;
    if (!URL_ATTRIBUTE.test(this.#attribute)) return;
    if (this.#value === '') this.links.add(token);
    else if (!SAFE_START.test(this.#value))
      throw invalid(
        this.#path,
        `${tag} needs before it the beginning of an address that it cannot change: https:// or http:// with host and slash, mailto:, tel:, or a path such as /visits/`,
      );
  }

  /** A section may be left out or repeated, so what follows it must mean the same either way. */
  #section(name: string, inner: Token[]): void {
    const before = { state: this.#state, attribute: this.#attribute, value: this.#value, element: this.#element };
    const [obeysContent, inContent] = [this.#obeysContent, this.#inContent];
    const fault = () => invalid(this.#path, `the section ${name} must begin and end in the same place of the HTML, and not within a name`);
    if (this.#state === 'name' || (this.#state === 'tag' && this.#attribute !== '' && !this.#nameEnds)) throw fault();
    this.read(inner);
    if (this.#state !== before.state) throw fault();
    if (this.#state !== 'text' && this.#element !== before.element) throw fault();
    if (this.#state === 'tag') this.#nameEnds = this.#attribute !== '';
    else if (this.#attribute !== before.attribute) throw fault();
    this.#value = before.value;
    this.#obeysContent ||= obeysContent;
    this.#inContent ??= inContent;
  }

  #static(text: string): void {
    for (let i = 0; i < text.length; ) i = this.#step(text, i);
  }

  /** Reads on from a position; answers the next one. */
  #step(text: string, i: number): number {
    switch (this.#state) {
      case 'text':
        return this.#inText(text, i);
      case 'comment':
        return this.#until(text, i, '-->');
      case 'declaration':
        return this.#until(text, i, '>');
      case 'raw':
        return this.#inRaw(text, i);
      case 'name':
        return this.#inName(text, i);
      case 'tag':
        return this.#inTag(text, i);
      default:
        return this.#inValue(text, i);
    }
  }

  #inText(text: string, i: number): number {
    const open = text.indexOf('<', i);
    if (open < 0) return text.length;
    // Outlook reads what stands in its conditional comments as HTML, so it is read as such here.
    const conditional = /<!--\[if[^\]>]*\]>/iy;
    conditional.lastIndex = open;
    if (conditional.test(text)) return conditional.lastIndex;
    if (text.startsWith('<!-->', open)) return open + 5;
    if (text.startsWith('<!--', open)) {
      this.#state = 'comment';
      return open + 4;
    }
    // A lone `<` before a tag could become the beginning of an element.
    if (open + 1 === text.length) throw invalid(this.#path, 'a < must not stand right before a mustache tag; write &lt;');
    const isElement = /<\/?[a-z]/iy;
    isElement.lastIndex = open;
    if (isElement.test(text)) {
      this.#state = 'name';
      this.#element = '';
      this.#obeysContent = false;
      this.#inContent = undefined;
    } else if (/[!?/]/.test(text[open + 1] as string)) this.#state = 'declaration';
    return open + 1;
  }

  #inName(text: string, i: number): number {
    const end = /[\s/>]/g;
    end.lastIndex = this.#element === '' ? i + 1 : i;
    const found = end.exec(text);
    this.#element += text.slice(i, found?.index ?? text.length).toLowerCase();
    if (!found) return text.length;
    this.#state = 'tag';
    this.#endName();
    return found.index;
  }

  #inTag(text: string, i: number): number {
    const character = text[i] as string;
    if (character === '>') {
      this.#endName();
      if (this.#obeysContent && this.#inContent)
        throw invalid(this.#path, `{{${this.#inContent[1]}}} must not stand in the attribute content beside http-equiv`);
      this.#state = RAW_ELEMENTS.has(this.#element) ? 'raw' : 'text';
    } else if (/[\s/]/.test(character)) {
      const blanks = /\s*/y;
      blanks.lastIndex = i;
      blanks.test(text);
      // `a = "b"`: the name is kept until something else begins.
      if (character === '/' || text[blanks.lastIndex] !== '=') this.#endName();
      return Math.max(i + 1, blanks.lastIndex);
    } else if (character === '=') {
      this.#refuseJoined();
      if (this.#attribute === '') throw invalid(this.#path, 'has an attribute without a name');
      this.#state = 'before value';
      this.#value = '';
    } else {
      this.#refuseJoined();
      this.#attribute += character.toLowerCase();
    }
    return i + 1;
  }

  #endName(): void {
    if (this.#attribute === 'http-equiv') this.#obeysContent = true;
    this.#attribute = '';
    this.#nameEnds = false;
  }

  #refuseJoined(): void {
    if (this.#nameEnds) throw invalid(this.#path, 'a section in a tag must be followed by a space or the end of the tag');
  }

  #inValue(text: string, i: number): number {
    const character = text[i] as string;
    if (this.#state === 'before value') {
      if (/\s/.test(character)) return i + 1;
      this.#state = character === '"' || character === "'" ? character : character === '>' ? 'text' : 'unquoted';
      return character === '"' || character === "'" || character === '>' ? i + 1 : i;
    }
    const ends = this.#state === 'unquoted' ? /[\s>]/.test(character) : character === this.#state;
    if (!ends) {
      if (this.#value !== '' || !/\s/.test(character)) this.#value += character;
      return i + 1;
    }
    const unquoted = this.#state === 'unquoted';
    this.#state = 'tag';
    this.#endName();
    return unquoted ? i : i + 1;
  }

  #inRaw(text: string, i: number): number {
    const end = new RegExp(`</${this.#element}(?=[\\s/>])`, 'ig');
    end.lastIndex = i;
    const found = end.exec(text);
    if (!found) return text.length;
    this.#state = 'tag';
    this.#element = `/${this.#element}`;
    return found.index + found[0].length;
  }

  #until(text: string, i: number, end: string): number {
    const found = text.indexOf(end, i);
    if (found < 0) return text.length;
    this.#state = 'text';
    return found + end.length;
  }
}

/** The values of a template's HTML that begin an address. @throws TEMPLATE_INVALID if a value stands where escaping does not make it safe */
export function findLinks(path: string, tokens: Token[]): Set<Token> {
  const reader = new Reader(path);
  reader.read(tokens);
  if (!reader.isInText) throw invalid(path, 'ends within a tag or a comment of the HTML');
  return reader.links;
}
