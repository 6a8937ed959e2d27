import { isIP } from 'node:net'
import type { ListenAddress } from './gateway-config.ts'
import type { Finding } from './problems.ts'

/** What a scalar means, or why it means nothing. Findings never repeat the scalar. */
export type ReadValue<T> =
  | { readonly kind: 'value'; readonly value: T }
  | ({ readonly kind: 'refused' } & Finding)

/** Which numbers are sensible, in the unit that is returned. */
export interface Bounds {
  readonly min: number
  readonly max: number
}

const MS_PER_UNIT: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 24 * 3_600_000,
}

/** Timers of Node take at most 2^31 ms; a day is longer than any wait that is meant. */
const DAY_MS = 24 * 3_600_000

/** "500ms", "60s", "2m", "1h", "90d" in milliseconds. At least 1 ms, at most a day, unless told. */
export function readDuration(
  text: string,
  { min, max }: Bounds = { min: 1, max: DAY_MS },
): ReadValue<number> {
  const [, digits, unit] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? []
  if (digits === undefined || unit === undefined) {
    return refused(
      'is not a duration',
      'Write a whole number with its unit, like 500ms, 60s or 2m.',
    )
  }
  const milliseconds = Number(digits) * (MS_PER_UNIT[unit] ?? Number.NaN)
  if (milliseconds >= min && milliseconds <= max) return { kind: 'value', value: milliseconds }
  const cure = `Write a duration from ${formatDuration(min)} to ${formatDuration(max)}.`
  return refused(milliseconds < min ? 'is too short' : 'is too long', cure)
}

/** The shortest spelling: 120000 is "2m". */
export function formatDuration(milliseconds: number): string {
  const units = Object.entries(MS_PER_UNIT).reverse()
  const [unit, factor] = units.find(([, ms]) => milliseconds % ms === 0 && ms <= milliseconds) ?? [
    'ms',
    1,
  ]
  return `${milliseconds / factor}${unit}`
}

const BYTES_PER_UNIT: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
}

/** "16KiB", "10MiB" in bytes. */
export function readSize(text: string, { min, max }: Bounds): ReadValue<number> {
  const [, digits, unit] = /^(\d{1,12})(B|KiB|MiB|GiB)$/.exec(text) ?? []
  if (digits === undefined || unit === undefined) {
    return refused('is not a size', 'Write a whole number with B, KiB, MiB or GiB, like 10MiB.')
  }
  const bytes = Number(digits) * (BYTES_PER_UNIT[unit] ?? Number.NaN)
  if (bytes >= min && bytes <= max) return { kind: 'value', value: bytes }
  const cure = `Write a size from ${formatSize(min)} to ${formatSize(max)}.`
  return refused(bytes < min ? 'is too small' : 'is too large', cure)
}

/** The shortest spelling: 16384 is "16KiB". */
export function formatSize(bytes: number): string {
  const units = Object.entries(BYTES_PER_UNIT).reverse()
  const [unit, factor] = units.find(([, size]) => bytes % size === 0 && size <= bytes) ?? ['B', 1]
  return `${bytes / factor}${unit}`
}

/** A whole number within bounds. */
export function readWholeNumber(text: string, { min, max }: Bounds): ReadValue<number> {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (number >= min && number <= max) return { kind: 'value', value: number }
  return refused('is not a whole number that fits', `Write a number from ${min} to ${max}.`)
}

const WEI_PER_UNIT: Readonly<Record<string, number>> = { wei: 0, gwei: 9 }

/** "2gwei", "0.05gwei" or "50000000wei", in wei. At least 1 wei, at most 100,000 gwei. */
export function readGasPrice(text: string): ReadValue<bigint> {
  const [, whole, fraction = '', unit] = /^(\d{1,12})(?:\.(\d{1,9}))?(wei|gwei)$/.exec(text) ?? []
  const digits = WEI_PER_UNIT[unit ?? '']
  if (whole === undefined || digits === undefined || fraction.length > digits) {
    return refused('is not a price of gas', 'Write it with its unit, like 2gwei or 0.05gwei.')
  }
  const wei = BigInt(whole + fraction.padEnd(digits, '0'))
  if (wei > 0n && wei <= 10n ** 14n) return { kind: 'value', value: wei }
  return refused('is not a sensible price of gas', 'Write a price from 1wei to 100000gwei.')
}

/** Every IPv4 interface: what a port without a host means. */
const ANY_HOST = '0.0.0.0'
const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)*$/

/** "0.0.0.0:8402", "[::1]:8402", "localhost:8402", ":8402" or "8402". */
export function readListenAddress(text: string): ReadValue<ListenAddress> {
  const [, bracketed, plain, digits] =
    /^(?:(?:\[([^\]]*)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  const isHost =
    bracketed === undefined
      ? !plain || isIP(plain) === 4 || (HOST_NAME.test(plain) && !/^[\d.]+$/.test(plain))
      : isIP(bracketed) === 6
  if (digits === undefined || port > 65_535 || !isHost) {
    return refused(
      'is not an address to listen on',
      'Write host:port, like 0.0.0.0:8402 or [::1]:8402.',
    )
  }
  return { kind: 'value', value: { host: bracketed ?? (plain || ANY_HOST), port } }
}

export interface StatusRange {
  readonly from: number
  readonly to: number
}

/** "2xx", "404" or "200-299"; both ends are included. */
export function readStatusRange(text: string): ReadValue<StatusRange> {
  const [, family, first, last] = /^(?:([2-5])xx|([2-5]\d\d)(?:-([2-5]\d\d))?)$/.exec(text) ?? []
  const from = family === undefined ? Number(first) : Number(family) * 100
  const to = family === undefined ? Number(last ?? first) : from + 99
  if (from <= to) return { kind: 'value', value: { from, to } }
  return refused('is not a range of statuses', 'Write 2xx, 404 or 200-299.')
}

function refused(message: string, cure: string): { kind: 'refused' } & Finding {
  return { kind: 'refused', message, cure }
}
