import { canonicalHeaderName } from '../core/header-name.ts'
import type { CheckContext } from './check-context.ts'
import type { Finding, Path } from './problems.ts'

/** RFC 9110 section 5.6.2, token. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/

/** RFC 9110 section 5.5, without the deprecated bytes above 0x7e. */
const VALUE = /^[\t\x20-\x7e]*$/

/** They belong to one connection, and the gateway's has its own (RFC 9110, section 7.6.1). */
const OF_THE_CONNECTION = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Payments end at the gateway; what it tells the API about them nobody else may say. */
const OF_PAYMENTS = /^(payment-(required|response|signature)|x-payment(-response)?|farebox-.*)$/

/** Header names in lower case, with their values. Findings never repeat a value. */
export function checkHeaders(
  headers: Readonly<Record<string, string>>,
  path: Path,
  context: CheckContext,
): Record<string, string> {
  const checked = new Map<string, string>()
  for (const [written, value] of Object.entries(headers)) {
    const name = written.toLowerCase()
    const finding = checked.has(name) ? TWICE : judgeHeader(name, value)
    if (finding !== null) context.report([...path, written], finding, 'key')
    checked.set(name, value)
  }
  return Object.fromEntries(checked)
}

const TWICE: Finding = {
  message: 'is written twice: letter case makes no difference in header names',
  cure: 'Keep one of the two.',
}

/** @param name In lower case. */
export function judgeHeader(name: string, value: string): Finding | null {
  if (!NAME.test(name)) {
    const cure = 'Use letters, digits and dashes, like x-api-key.'
    return { message: 'is not the name of a header', cure }
  }
  const canonical = canonicalHeaderName(name)
  if (OF_THE_CONNECTION.has(canonical)) {
    const message = 'is set by the connection and cannot be set here'
    return { message, cure: 'Remove it.' }
  }
  if (OF_PAYMENTS.test(canonical)) {
    return { message: 'is a header that only farebox sets', cure: 'Choose another name.' }
  }
  if (!VALUE.test(value) || value !== value.trim()) {
    const message = 'has a value with a line break, a space around it or a character beyond ASCII'
    return { message, cure: 'Look at the end of the secret: it may have an extra line.' }
  }
  return null
}
