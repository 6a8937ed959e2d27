import { splitField } from '../../corpus/http2-entries.ts'
import type { Conversation } from './http2-conversations.ts'
import { describeRequest, type Reading } from './parsers.ts'

interface Stream {
  readonly head: readonly (readonly [string, string])[]
  body: string
  isEnded: boolean
  /** It is not as RFC 9113 section 8.1 wants it: nothing of it may arrive as a whole. */
  isMalformed: boolean
}

/**
 * The requests of a conversation by RFC 9113 section 8 alone, with no library's help: those with
 * one method and one path, whose stream has ended or whose body has the length that they say.
 */
export function readConversation(conversation: Conversation): Reading {
  const requests: string[] = []
  const names = new Set<string>()
  for (const { head, body, isEnded, isMalformed } of streamsOf(conversation).values()) {
    for (const [name] of head) names.add(name.toLowerCase())
    const valuesOf = (wanted: string): string[] =>
      head.flatMap(([name, value]) => (name === wanted ? [value] : []))
    const [[method, ...methods], [path, ...paths]] = [valuesOf(':method'), valuesOf(':path')]
    const lengths = valuesOf('content-length')
    const isOne = methods.length === 0 && paths.length === 0 && lengths.length <= 1
    if (!isOne || method === undefined || path === undefined) continue
    const [length] = lengths
    if (length === undefined) {
      if (isEnded && !isMalformed) requests.push(describeRequest(method, path, body))
    } else if (/^\d+$/.test(length) && body.length >= Number(length)) {
      // HTTP/1.1 has no other end of a body whose length is said: whatever comes after it is no
      // part of the request, and too late to take it back.
      requests.push(describeRequest(method, path, body.slice(0, Number(length))))
    }
  }
  return { requests, names, broke: false, unfinished: false }
}

/** The streams that get an answer or are reset, for they have ended, and those that have not. */
export function sortStreams(conversation: Conversation): { ended: number[]; open: number[] } {
  const sorted: { ended: number[]; open: number[] } = { ended: [], open: [] }
  for (const [id, { isEnded }] of streamsOf(conversation)) {
    sorted[isEnded ? 'ended' : 'open'].push(id)
  }
  return sorted
}

function streamsOf(conversation: Conversation): Map<number, Stream> {
  const streams = new Map<number, Stream>()
  for (const step of conversation) {
    if (!('ends' in step)) continue
    const known = streams.get(step.stream)
    if (known?.isEnded) continue
    if ('data' in step) {
      if (known === undefined) continue
      known.body += step.data
      known.isEnded = step.ends
      continue
    }
    const fields = step.fields.map(splitField)
    if (known === undefined) {
      const begun = { head: fields, body: '', isEnded: step.ends, isMalformed: false }
      streams.set(step.stream, begun)
    } else {
      known.isEnded = step.ends
      known.isMalformed ||= !step.ends || fields.some(([name]) => name.startsWith(':'))
    }
  }
  return streams
}
