import type { RouteConfig } from '../../config/gateway-config.ts'
import { foreignText } from '../foreign-text.ts'
import { styled, table } from '../output.ts'
import type { OutputStream } from '../surroundings.ts'
import { type Origin, originOf, ownPath, type Subject } from './topic.ts'
import { TOPICS } from './topics.ts'

/** One line of an explanation, as programs read it. */
export interface Fact {
  readonly topic: string
  readonly name: string
  readonly value: string
  /** Null: a default. */
  readonly from: Origin | null
}

export function explainRoute(subject: Subject): Fact[] {
  return TOPICS.flatMap(({ title, lines }) =>
    lines(subject).flatMap(({ label, value, at }) =>
      value === null ? [] : [{ topic: title, name: label, value, from: originOf(at, subject) }],
    ),
  )
}

/** In columns: what, which, and where it is written. */
export function explainedText(
  facts: readonly Fact[],
  {
    file,
    subject,
    asked,
  }: { readonly file: string; readonly subject: Subject; readonly asked: string },
  stream: OutputStream,
): string {
  const { route } = subject
  const head = [
    'ROUTE',
    route.key,
    ...placeText(originOf([ownPath(subject)], subject, 'key'), file),
  ]
  const rows = facts.flatMap(({ topic, name, value, from }, index) => {
    const row = [`  ${name}`, foreignText(value), ...placeText(from, file)]
    return facts[index - 1]?.topic === topic ? [row] : [[''], [topic], row]
  })
  const lines = table([['REQUEST', foreignText(asked)], head, ...rows]).split('\n')
  const text = lines.map(line => (/^\S/.test(line) ? styled('bold', line, stream) : line))
  return [...text, ...warningOf(route, stream)].join('\n')
}

function placeText(from: Origin | null, file: string): [place: string, item: string] {
  if (from === null) return ['default', '']
  const { line, column, item, isOwn } = from
  return [`${file}:${line}:${column}`, isOwn ? 'this route' : item]
}

function warningOf({ mode }: RouteConfig, stream: OutputStream): string[] {
  if (mode === 'enforce') return []
  return [
    '',
    styled('yellow', 'SHADOW MODE: this route is served to everybody for nothing.', stream),
  ]
}
