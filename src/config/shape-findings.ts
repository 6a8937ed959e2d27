import type { z } from 'zod'
import { type PathFinding, PROBLEMS_MAX } from './place-findings.ts'
import { type Finding, type Path, quote } from './problems.ts'
import { descriptionAt, knownKeys } from './schema-walk.ts'
import { suggestName } from './suggest.ts'
import { locate, type Tree } from './tree.ts'

/** Something that the schema does not allow. */
export interface ShapeFinding extends PathFinding {
  /** True for a list without entries. */
  readonly empty: boolean
}

type Issue = z.core.$ZodIssue

/** What the issue was found in, and what it was held against. */
interface Found {
  readonly tree: Tree
  readonly schema: z.ZodType
}

/** An issue of the schema in the operator's words; one for each unknown key. */
export function explainIssue(issue: Issue, found: Found): ShapeFinding[] {
  const { tree, schema } = found
  const path = issue.path.map(part => (typeof part === 'number' ? part : String(part)))
  if (issue.code === 'unrecognized_keys') return explainUnknownKeys(path, issue.keys, schema)
  if (issue.code === 'invalid_union') return explainUnion(issue, path, found)
  const missing = !locate(tree, path).exact
  if (missing) return [explainMissing(path, schema)]
  const aboutKey = issue.code === 'invalid_key'
  const empty = issue.code === 'too_small' && issue.origin === 'array'
  const explained = explainValue(issue, writtenAt(tree, path), schema)
  return [{ path, missing: false, empty, aboutKey, ...explained }]
}

function explainUnknownKeys(
  path: Path,
  keys: readonly string[],
  schema: z.ZodType,
): ShapeFinding[] {
  const known = knownKeys(schema, path)
  return keys.map((key, index) => ({
    path: [...path, key],
    missing: false,
    empty: false,
    aboutKey: true,
    message: 'is not a key that farebox knows here',
    // Comparing costs, and no more problems than this are shown.
    cure: index < PROBLEMS_MAX ? suggestName(key, known) : 'Remove it.',
  }))
}

/** Of a shorthand and a full form, the one that the operator meant. */
function explainUnion(
  issue: Extract<Issue, { code: 'invalid_union' }>,
  path: Path,
  found: Found,
): ShapeFinding[] {
  const { tree, schema } = found
  const sameKind = issue.errors.filter(issues => !issues.some(isOfAnotherKind))
  // Of two maps, the one whose name-giving key is there.
  const begun = sameKind.filter(issues => !issues.some(one => lacksKey(one, path, tree)))
  const meant = begun.length === 1 ? begun : sameKind
  const [only] = meant
  if (only !== undefined && meant.length === 1) {
    return only.flatMap(inner => explainIssue({ ...inner, path: [...path, ...inner.path] }, found))
  }
  if (!locate(tree, path).exact) return [explainMissing(path, schema)]
  const message = `cannot be ${nameKind(locate(tree, path).node)}`
  const forms = mapCure(schema, path, wordsOf(issue)) ?? 'Write one of its forms.'
  const cure = cureFrom(schema, path, forms)
  return [{ path, missing: false, empty: false, aboutKey: false, message, cure }]
}

function lacksKey(issue: Issue, path: Path, tree: Tree): boolean {
  const [key] = issue.path
  if (issue.path.length !== 1 || typeof key !== 'string') return false
  return !locate(tree, [...path, key]).exact
}

/** The words that may stand in the place of a full form, like off. */
function wordsOf({ errors }: Extract<Issue, { code: 'invalid_union' }>): string[] {
  return errors
    .flat()
    .flatMap(one => (one.code === 'invalid_value' && one.path.length === 0 ? one.values : []))
    .map(String)
}

function isOfAnotherKind(issue: Issue): boolean {
  return issue.path.length === 0 && ['invalid_type', 'invalid_value'].includes(issue.code)
}

function explainMissing(path: Path, schema: z.ZodType): ShapeFinding {
  const cure = cureFrom(schema, path, 'Add it.')
  return { path, missing: true, empty: false, aboutKey: true, message: 'is missing', cure }
}

function cureFrom(schema: z.ZodType, path: Path, otherwise: string): string {
  return descriptionAt(schema, path) ?? otherwise
}

function cureOfKind(schema: z.ZodType, path: Path): string {
  return cureFrom(schema, path, mapCure(schema, path, []) ?? 'Write it as the examples do.')
}

/** What a setting can be; null where its full form has no keys of its own. */
function mapCure(schema: z.ZodType, path: Path, words: readonly string[]): string | null {
  const known = new Set(knownKeys(schema, path))
  if (known.size === 0) return null
  return `Write ${[...words, `a map of ${[...known].join(', ')}`].join(' or ')}.`
}

/** @param written What stands in the file, its variables unresolved; null for a list or a map. */
function explainValue(issue: Issue, written: string | null, schema: z.ZodType): Finding {
  const path = issue.path.map(part => (typeof part === 'number' ? part : String(part)))
  if (written === '') {
    return {
      message: 'has no value',
      cure: cureFrom(schema, path, 'Write a value after the colon.'),
    }
  }
  const subject = written === null ? '' : `${quote(written)} `
  switch (issue.code) {
    case 'custom':
      return { message: `${subject}${issue.message}`, cure: String(issue.params?.['cure'] ?? '') }
    case 'invalid_value': {
      const known = issue.values.map(String)
      return { message: `${subject}is not allowed here`, cure: suggestName(written ?? '', known) }
    }
    case 'invalid_type':
      return explainType(issue, cureOfKind(schema, path), written)
    case 'too_small':
      return { message: 'is empty', cure: cureFrom(schema, path, 'Write at least one entry.') }
    case 'too_big':
      return { message: 'is too long', cure: `Keep it to ${issue.maximum} characters.` }
    case 'invalid_key':
      return {
        message: 'is not a name that can be used here',
        cure: 'Use up to 63 letters, digits, dots, dashes and underscores.',
      }
    default:
      return {
        message: 'is not written as it should be',
        cure: cureFrom(schema, path, 'Correct it.'),
      }
  }
}

function explainType(
  issue: Extract<Issue, { code: 'invalid_type' }>,
  cure: string,
  written: string | null,
): Finding {
  const wanted = KINDS_WANTED[issue.expected] ?? 'text'
  const message = written === null ? `must be ${wanted}` : `must be ${wanted}, not text`
  return { message, cure }
}

const KINDS_WANTED: Readonly<Record<string, string>> = {
  string: 'text',
  array: 'a list',
  object: 'a map',
  record: 'a map',
}

function nameKind(node: Tree): string {
  if (node.kind === 'text') return quote(node.written)
  return node.kind === 'list' ? 'a list' : 'a map'
}

function writtenAt(tree: Tree, path: Path): string | null {
  const { exact, node } = locate(tree, path)
  return exact && node.kind === 'text' ? node.written : null
}
