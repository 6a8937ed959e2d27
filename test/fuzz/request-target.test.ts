import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseRouteKey } from '../../src/routing/pattern.ts'
import {
  type RequestTarget,
  readRequestTarget,
  SEGMENTS_MAX,
  TARGET_BYTES_MAX,
} from '../../src/routing/request-target.ts'

/** Pieces that parsers are known to disagree about, among ordinary ones. */
const piece = fc.constantFrom(
  ...['/', '//', '.', '..', ';', ';a=1', 'a', 'B7', '~', '%2e', '%2F', '%5c', '\\', '%00', '%0a'],
  ...['%', '%4', '%41', '%c3%a9', '%C0%AF', '%25', '%2561', '%3B', '%3a', ':', '@', '|', '{x}'],
  ...['?', '#', ' ', '\t', '\0', '\u00e9', '*', '+', 'http://', 'h', '[', '&q=', '%u0041'],
)
const pieces = fc.array(piece, { maxLength: 14 }).map(parts => parts.join(''))
const raw = fc.oneof(
  pieces.map(text => `/${text}`),
  pieces,
  fc.string({ unit: 'binary', maxLength: 40 }).map(text => `/${text}`),
  pieces.map(text => `http://h${text}`),
)

type Target = Extract<RequestTarget, { kind: 'target' }>

function whenRead(check: (target: Target, raw: string) => void): void {
  let read = 0
  fc.assert(
    fc.property(raw, text => {
      const target = readRequestTarget(text, 'h')
      if (target.kind === 'ambiguous') return
      read += 1
      check(target, text)
    }),
    { numRuns: 20_000 },
  )
  // A reader that refuses everything would pass every check.
  expect(read).toBeGreaterThan(1000)
}

test('the canonical form is a fixed point', () => {
  whenRead(target => {
    expect(readRequestTarget(target.full, null)).toEqual(target)
  })
})

test('the canonical form is made of RFC 3986 characters and upper-case escapes only', () => {
  whenRead(({ path, query, full }) => {
    expect(path).toMatch(/^(?:\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-F]{2})*)+$/)
    expect(query).toMatch(/^(?:\?(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-F]{2})*)?$/)
    expect(full).toBe(path + query)
    expect(full.length).toBeLessThanOrEqual(TARGET_BYTES_MAX)
    expect(path.split('/').length - 1).toBeLessThanOrEqual(SEGMENTS_MAX)
  })
})

test('the WHATWG URL parser reads the canonical form as we do', () => {
  whenRead(({ path, query, full }) => {
    const url = new URL(`http://h${full}`)
    expect(url.host).toBe('h')
    expect(url.pathname).toBe(path)
    // It escapes "'" in queries; that is its only difference, and changes no meaning.
    expect(url.search).toBe(query === '?' ? '' : query.replaceAll("'", '%27'))
  })
})

test('no canonical path decodes to more segments, a dot segment or a control byte', () => {
  whenRead(({ path }) => {
    const segments = path.split('/')
    const decoded = decodeURIComponent(path)
    expect(decoded.split(/[/\\]/).length).toBe(segments.length)
    expect(decoded).not.toMatch(/\/\.{1,2}(?:[/;]|$)/)
    expect(decoded).not.toMatch(/[^\P{Cc}\x80-\x9f]/u)
    expect(segments.slice(1, -1)).not.toContain('')
  })
})

test('decoding the canonical path gives what decoding the target gives', () => {
  whenRead(({ path }, text) => {
    const sent = text.replace(/^http:\/\/h/, '').split('?')[0] ?? ''
    expect(decodeURIComponent(path)).toBe(decodeURIComponent(sent === '' ? '/' : sent))
  })
})

test('whatever is written as a route key is answered, never thrown at', () => {
  fc.assert(
    fc.property(fc.oneof(raw, pieces, fc.string({ unit: 'binary' })), text => {
      for (const key of [text, `GET ${text}`, `/${text}/*`]) {
        const parsed = parseRouteKey(key)
        if (parsed.kind === 'invalid') expect(parsed.reason).not.toBe('')
        else expect(parseRouteKey(parsed.path)).toMatchObject({ segments: parsed.segments })
      }
    }),
    { numRuns: 5000 },
  )
})
