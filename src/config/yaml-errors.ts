import type { ErrorCode } from 'yaml'
import type { Finding } from './problems.ts'

/**
 * What the parser found, in our words: its own messages repeat the text around the error, which may
 * be a secret.
 */
const EXPLANATIONS: Readonly<Record<ErrorCode, Finding>> = {
  ALIAS_PROPS: finding('an alias cannot have an anchor or a tag', 'Write only *name.'),
  BAD_ALIAS: finding(
    'an alias or anchor has a bad name',
    'Use letters and digits, or quote the text.',
  ),
  BAD_COLLECTION_TYPE: finding('a tag does not fit what follows', 'Remove the tag.'),
  BAD_DIRECTIVE: finding('a line starts with % and is no directive', 'Quote the text.'),
  BAD_DQ_ESCAPE: finding(
    'a backslash in double quotes starts no known escape',
    'Write it twice, or use single quotes.',
  ),
  BAD_INDENT: finding(
    'the indentation does not fit the lines above',
    'Indent what belongs together by the same number of spaces.',
  ),
  BAD_PROP_ORDER: finding('an anchor or tag stands in the wrong place', 'Put it after the colon.'),
  BAD_SCALAR_START: finding('text starts with a reserved character', 'Put the text in quotes.'),
  BLOCK_AS_IMPLICIT_KEY: finding(
    'a map starts on the line of another key',
    'Start it on the next line, or put text with a colon in quotes.',
  ),
  BLOCK_IN_FLOW: finding('a block stands between braces', 'Close the braces, or write {a: b}.'),
  DUPLICATE_KEY: finding('a key is written twice', 'Keep one of the two.'),
  IMPOSSIBLE: finding('this cannot be read as YAML', 'Look for a missing quote or colon above.'),
  KEY_OVER_1024_CHARS: finding('a key is too long', 'Look for a missing quote or colon.'),
  MISSING_CHAR: finding(
    'a closing quote, brace, bracket or a colon is missing',
    'Add it; it may be missing in the lines above.',
  ),
  MULTILINE_IMPLICIT_KEY: finding(
    'a key runs over several lines',
    'Put a colon after the key, or close its quote.',
  ),
  MULTIPLE_ANCHORS: finding('something has two anchors', 'Keep one of them.'),
  MULTIPLE_DOCS: finding('the file holds several documents', 'Remove the --- between them.'),
  MULTIPLE_TAGS: finding('something has two tags', 'Remove them.'),
  NON_STRING_KEY: finding('a key is not plain text', 'Write a plain name before the colon.'),
  RESOURCE_EXHAUSTION: finding('is nested too deeply', 'Flatten it.'),
  TAB_AS_INDENT: finding('a tab is used for indentation', 'Use spaces.'),
  TAG_RESOLVE_FAILED: finding('a tag (!) means nothing here', 'Remove it, or quote the text.'),
  UNEXPECTED_TOKEN: finding(
    'something stands where YAML expects nothing',
    'Look for a missing quote or line break.',
  ),
}

export function explainYamlError(code: ErrorCode): Finding {
  return EXPLANATIONS[code]
}

function finding(message: string, cure: string): Finding {
  return { message, cure }
}
