// How much strangers may ask of the endpoint before anything is verified: how often they may try and how many bodies are
// read at a time. It knows who carries a signature, not whether it is right: without one a request never takes the place
// of a request with one. What turns out to be signed is not counted.

/** A rate: so many a second, and so many at once after a pause. */
export interface RateLimit {
  /** Requests a second, 1 to 1000000. Default: 200. */
  perSecond?: number | undefined
  /** Requests at once, 1 to 1000000. Default: ten times `perSecond`. */
  burst?: number | undefined
}

/** A body that is being read, as the gate sees it. */
export interface Reading {
  readonly signed: boolean
  /** Its place is needed. */
  giveWay(): void
}

/** One address has at most this part of what all have together. */
const ADDRESS_SHARE = 0.5
/** Addresses whose rate is known at a time: about 200 bytes each. */
const MAX_ADDRESSES = 10_000

class Bucket {
  readonly #perSecond: number
  readonly #burst: number
  #left: number
  #at: number

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perSecond = perSecond
    this.#burst = Math.max(1, burst)
    this.#left = this.#burst
    this.#at = nowMs
  }

  /** Seconds until there is one to take; 0 if there is. */
  waitS(nowMs: number): number {
    this.#left = Math.min(this.#burst, this.#left + ((nowMs - this.#at) / 1_000) * this.#perSecond)
    this.#at = nowMs
    return this.#left >= 1 ? 0 : Math.ceil((1 - this.#left) / this.#perSecond)
  }

  add(count: number): void {
    this.#left = Math.min(this.#burst, this.#left + count)
  }
}

/** The buckets of all and of each address. */
class Limiter {
  readonly #perSecond: number
  readonly #burst: number
  readonly #all: Bucket
  readonly #addresses = new Map<string, Bucket>()

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perSecond = perSecond
    this.#burst = burst
    this.#all = new Bucket(perSecond, burst, nowMs)
  }

  take(address: string | undefined, nowMs: number): number {
    const buckets = address === undefined ? [this.#all] : [this.#all, this.#of(address, nowMs)]
    const waitS = Math.max(...buckets.map((bucket) => bucket.waitS(nowMs)))
    if (waitS === 0) for (const bucket of buckets) bucket.add(-1)
    return waitS
  }

  giveBack(address: string | undefined): void {
    this.#all.add(1)
    if (address !== undefined) this.#addresses.get(address)?.add(1)
  }

  #of(address: string, nowMs: number): Bucket {
    const known = this.#addresses.get(address)
    if (known !== undefined) return known
    const bucket = new Bucket(this.#perSecond * ADDRESS_SHARE, this.#burst * ADDRESS_SHARE, nowMs)
    const [oldest] = this.#addresses.keys()
    if (oldest !== undefined && this.#addresses.size >= MAX_ADDRESSES) this.#addresses.delete(oldest)
    this.#addresses.set(address, bucket)
    return bucket
  }
}

/** What stands before the cryptography. */
export class Gate {
  readonly #maxReading: number
  readonly #signed: Limiter
  readonly #unsigned: Limiter
  readonly #reading = new Set<Reading>()

  constructor(maxReading: number, { perSecond, burst }: { perSecond: number; burst: number }) {
    this.#maxReading = maxReading
    this.#signed = new Limiter(perSecond, burst, performance.now())
    this.#unsigned = new Limiter(perSecond, burst, performance.now())
  }

  /** Counts an attempt; gives the seconds to wait if there were too many, else 0. */
  take(signed: boolean, address: string | undefined): number {
    return (signed ? this.#signed : this.#unsigned).take(address, performance.now())
  }

  /** The attempt was a sender's who has the secret. */
  giveBack(address: string | undefined): void {
    this.#signed.giveBack(address)
  }

  /** Takes a place for a body. Over the limit the oldest gives way, one without a signature first. */
  enter(reading: Reading): void {
    this.#reading.add(reading)
    if (this.#reading.size <= this.#maxReading) return
    const all = [...this.#reading]
    const last = all.find((other) => !other.signed) ?? all[0]
    if (last === undefined) return
    this.#reading.delete(last)
    last.giveWay()
  }

  leave(reading: Reading): void {
    this.#reading.delete(reading)
  }
}
