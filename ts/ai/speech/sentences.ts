// Cuts streamed text where a voice may pause: a voice that is given words one by one cannot phrase them. It holds text
// back only until a sentence is whole, or until it is long.

/** A piece this long is cut at a space even without a full stop. */
export const LONGEST_PIECE = 200

// Sentence-ending punctuation, closing quotes or brackets, then space; the full-width forms need no space after them.
const SENTENCE_END = /[.!?…:;\n]["'”’)\]]*\s+|[。！？]["”』」）]*\s*/gu

/** Collects deltas, gives sentences. */
export class Sentences {
  #held = ''

  /** The pieces that are complete now. */
  push(delta: string): string[] {
    this.#held += delta
    const pieces: string[] = []
    let from = 0
    for (const match of this.#held.matchAll(SENTENCE_END)) {
      const end = match.index + match[0].length
      pieces.push(this.#held.slice(from, end))
      from = end
    }
    this.#held = this.#held.slice(from)
    while (this.#held.length > LONGEST_PIECE) {
      const space = this.#held.lastIndexOf(' ', LONGEST_PIECE)
      const end = space <= 0 ? LONGEST_PIECE : space + 1
      pieces.push(this.#held.slice(0, end))
      this.#held = this.#held.slice(end)
    }
    return pieces.filter((piece) => piece.trim() !== '')
  }

  /** What is left. */
  rest(): string | undefined {
    const rest = this.#held
    this.#held = ''
    return rest.trim() === '' ? undefined : rest
  }
}
