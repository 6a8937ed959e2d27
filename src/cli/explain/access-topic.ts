import type { Path } from '../../config/problems.ts'
import {
  isWritten,
  type Line,
  ownOrDefault,
  type Subject,
  type Topic,
  writtenOrSecret,
} from './topic.ts'

/** Of a long list, as many as a line can take. */
const NAMES_SHOWN_MAX = 10

/** Who gets in without paying, who gets nothing, and what is given away. */
export const accessTopic: Topic = {
  title: 'ACCESS',
  lines: subject => {
    const { allow, deny, freeQuota } = subject.route.access
    const keys = allow?.keys.map(({ name }) => name)
    return [
      ...listed(subject, 'denies networks', deny?.networks, ['deny', 'networks']),
      ...listed(subject, 'denies certificates', deny?.certificates, ['deny', 'certificates']),
      ...listed(subject, 'allows keys of', keys, ['allow', 'keys']),
      ...tokenLines(subject),
      ...listed(subject, 'allows certificates', allow?.certificates, ['allow', 'certificates']),
      ...listed(subject, 'allows networks', allow?.networks, ['allow', 'networks']),
      {
        label: 'free of charge',
        value:
          freeQuota && `${freeQuota.requests} requests per ${freeQuota.per} and ${freeQuota.by}`,
        at: ownOrDefault(subject, 'freeQuota'),
      },
    ]
  },
}

function tokenLines(subject: Subject): Line[] {
  const jwt = subject.route.access.allow?.jwt ?? null
  if (jwt === null) return []
  const { issuer, audiences, claims, forward } = jwt
  const line = (label: string, value: string, ...path: Path): Line => {
    const at = ownOrDefault(subject, 'allow', 'jwt', ...path)
    return { label, value: writtenOrSecret(value, at[0] ?? [], subject.document), at }
  }
  return [
    line('allows tokens of', issuer, 'issuer'),
    ...audiences.map((audience, index) => {
      const [inList = []] = ownOrDefault(subject, 'allow', 'jwt', 'audience', index)
      const place = isWritten(subject.document, inList) ? [index] : []
      return line('for', audience, 'audience', ...place)
    }),
    ...[...claims].map(([name, value]) => line(`whose ${name} is`, value, 'claims', name)),
    line('passed on', forward ? 'yes' : 'no', 'forward'),
  ]
}

function listed(
  subject: Subject,
  label: string,
  names: readonly string[] | undefined,
  path: Path,
): Line[] {
  if (names === undefined || names.length === 0) return []
  const at = ownOrDefault(subject, ...path)
  const shown = names
    .slice(0, NAMES_SHOWN_MAX)
    .map((name, index) => writtenOrSecret(name, [...(at[0] ?? []), index], subject.document))
    .join(', ')
  const more = names.length - NAMES_SHOWN_MAX
  return [{ label, value: more > 0 ? `${shown} and ${more} more` : shown, at }]
}
