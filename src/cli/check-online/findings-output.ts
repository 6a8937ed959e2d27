import { placeFinding } from '../../config/place-findings.ts'
import { formatPath } from '../../config/problems.ts'
import type { Tree } from '../../config/tree.ts'
import { foreignText } from '../foreign-text.ts'
import { styled } from '../output.ts'
import type { OutputStream } from '../surroundings.ts'
import type { Finding, Level } from './finding.ts'

export interface FindingsPlace {
  readonly file: string
  readonly document: Tree
}

/** A finding as programs read it. */
export interface FindingRecord {
  readonly level: Level
  readonly question: Finding['question']
  readonly file: string
  readonly line: number
  readonly column: number
  readonly item: string
  readonly message: string
  readonly cure: string | null
}

export function toRecord(finding: Finding, { file, document }: FindingsPlace): FindingRecord {
  const { level, question, message, cure } = finding
  const wanted = { path: finding.path, message, cure: cure ?? '', missing: false, aboutKey: false }
  const { path, at } = placeFinding(wanted, document)
  return { level, question, file, ...at, item: formatPath(path), message, cure }
}

const STYLES = { ok: 'green', warning: 'yellow', problem: 'red', 'not-checked': 'dim' } as const
const LABELS = { ok: 'ok', warning: 'warning', problem: 'problem', 'not-checked': 'not checked' }
const LABEL_WIDTH = 'not checked:'.length

/** A line for each finding, then how many there are of what matters. */
export function findingsText(records: readonly FindingRecord[], stream: OutputStream): string {
  return `${records.map(one => lineOf(one, stream)).join('\n')}\n\n${summary(records, stream)}`
}

function lineOf({ level, message, cure, ...where }: FindingRecord, stream: OutputStream): string {
  const label = styled(STYLES[level], `${LABELS[level]}:`.padEnd(LABEL_WIDTH), stream)
  const item = where.item === '' ? '' : ` ${where.item}`
  const place = foreignText(`${where.file}:${where.line}:${where.column}${item}`)
  return `${label} ${place}: ${message}.${cure === null ? '' : ` ${cure}`}`
}

function summary(records: readonly FindingRecord[], stream: OutputStream): string {
  const count = (level: Level): number => records.filter(one => one.level === level).length
  const problems = count('problem')
  const parts = [
    `${problems} ${problems === 1 ? 'problem' : 'problems'}`,
    `${count('warning')} ${count('warning') === 1 ? 'warning' : 'warnings'}`,
    `${count('not-checked')} not checked`,
  ]
  return styled(problems > 0 ? 'red' : 'green', parts.join(', '), stream)
}
