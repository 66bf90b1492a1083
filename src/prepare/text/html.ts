/**
 * The main text of an HTML page. Parsed leniently by htmlparser2 through cheerio; scripts, styles, navigation,
 * forms and hidden parts go; where there is one large `main` or `article` only that stays; lists that are mostly links go. Blocks
 * become lines, `pre` stays as written, list items get a dash.
 * Limits: heuristics on tags, roles and class names, no rendering; tables come row by row with tabs between the cells.
 */
import { createRequire } from 'node:module';

/** What cheerio's tree is made of here. */
interface TreeNode {
  readonly type: string;
  readonly name?: string;
  readonly data?: string;
  readonly attribs?: Readonly<Record<string, string>>;
  readonly children?: readonly TreeNode[];
}

const DROPPED = new Set(
  'script style noscript template svg math canvas nav aside form button select input textarea iframe object embed head footer audio video dialog menu'.split(
    ' ',
  ),
);
const DROPPED_ROLES = new Set(
  'navigation banner contentinfo search complementary menu menubar dialog alert'.split(' '),
);
const DROPPED_CLASS =
  /(?:^|[\s_-])(?:nav|navbar|navigation|menu|sidebar|breadcrumbs?|cookies?|consent|advert|ads?|share|social|footer|skip-link|pagination|related-posts)(?:$|[\s_-])/i;
const BLOCKS = new Set(
  'address article blockquote body caption dd details div dl dt fieldset figcaption figure h1 h2 h3 h4 h5 h6 header hr html li main ol p pre section summary table tbody tfoot thead tr ul'.split(
    ' ',
  ),
);
const PARAGRAPHS = new Set(
  'p h1 h2 h3 h4 h5 h6 blockquote pre table ul ol figure section article dl'.split(' '),
);
/** `main` or `article` is taken alone where it holds at least this share of the text. */
const MIN_MAIN_SHARE = 0.3;
const LINK_LIST = { minLinks: 3, share: 0.8 };

/** The text, `\n` between blocks, a blank line between paragraphs; '' where there is none. */
export function htmlText(html: string): string {
  if (isTooDeep(html)) return tidy(html.replace(/<[^<>]*>/g, '\n'));
  const root = cheerio()
    .load(html, { xml: { xmlMode: false, decodeEntities: true } })
    .root()[0] as unknown as TreeNode;
  const sizes = measure(root);
  const total = sizes.get(root)!.text;
  const isMain = ({ name, attribs }: TreeNode) =>
    name === 'main' || name === 'article' || attribs?.role === 'main';
  const main = [...sizes.keys()]
    .filter((node) => isMain(node) && sizes.get(node)!.text >= total * MIN_MAIN_SHARE)
    .sort((a, b) => sizes.get(b)!.text - sizes.get(a)!.text)[0];
  return tidy(write(main ?? root, sizes));
}

/** Loaded with the first page. */
function cheerio(): typeof import('cheerio') {
  return createRequire(import.meta.url)('cheerio') as typeof import('cheerio');
}

/** The parser's time grows with the square of the depth; such a page is no page, its tags are cut out plainly. */
const MAX_DEPTH = 2000;
/** Elements that need no end tag do not nest, void ones have none. */
const NOT_COUNTED = /^(?:p|li|t[drh]|dt|dd|option|area|base|br|col|embed|hr|img|input|link|meta|source|wbr)$/;

function isTooDeep(html: string): boolean {
  let depth = 0;
  for (const [, slash, name] of html.matchAll(/<(\/?)([a-z][a-z0-9]{0,20})/gi)) {
    if (NOT_COUNTED.test(name!.toLowerCase())) continue;
    depth += slash ? -1 : 1;
    if (depth > MAX_DEPTH) return true;
    if (depth < 0) depth = 0;
  }
  return false;
}

interface Size {
  /** characters of visible text, and of that within links */
  text: number;
  linkText: number;
  links: number;
}

/** The visible parts of the tree with their sizes; what is dropped is not in the map. By hand, for trees too deep to recurse. */
function measure(root: TreeNode): Map<TreeNode, Size> {
  const sizes = new Map<TreeNode, Size>([[root, { text: 0, linkText: 0, links: 0 }]]);
  const stack: { node: TreeNode; next: number; isInLink: boolean }[] = [
    { node: root, next: 0, isInLink: false },
  ];
  while (stack.length > 0) {
    const top = stack.at(-1)!;
    const size = sizes.get(top.node)!;
    const child = top.node.children?.[top.next++];
    if (!child) {
      stack.pop();
      const above = stack.at(-1);
      if (above) addSize(sizes.get(above.node)!, size);
    } else if (child.type === 'text') {
      const length = child.data!.trim().length;
      size.text += length;
      if (top.isInLink) size.linkText += length;
    } else if (child.children && !isDropped(child)) {
      const isLink = child.name === 'a';
      sizes.set(child, { text: 0, linkText: 0, links: Number(isLink) });
      stack.push({ node: child, next: 0, isInLink: top.isInLink || isLink });
    }
  }
  return sizes;
}

function addSize(to: Size, from: Size): void {
  to.text += from.text;
  to.linkText += from.linkText;
  to.links += from.links;
}

function isDropped({ name = '', attribs = {} }: TreeNode): boolean {
  if (DROPPED.has(name) || DROPPED_ROLES.has(attribs.role ?? '')) return true;
  if ('hidden' in attribs || attribs['aria-hidden'] === 'true') return true;
  if (/display\s{0,9}:\s{0,9}none/i.test(attribs.style ?? '')) return true;
  // A whole page is often within a box named by its layout.
  if (name === 'body' || name === 'html' || name === 'main' || name === 'article') return false;
  return DROPPED_CLASS.test(`${attribs.class ?? ''} ${attribs.id ?? ''}`.slice(0, 500));
}

function write(start: TreeNode, sizes: Map<TreeNode, Size>): string {
  const out: string[] = [];
  /** line ends owed before the next text: two make a blank line */
  let owed = 0;
  const put = (text: string): void => {
    if (owed > 0 && text.trim() === '') return;
    out.push('\n'.repeat(owed), text);
    owed = 0;
  };
  const stack = [{ node: start, next: 0, isPre: start.name === 'pre' }];
  while (stack.length > 0) {
    const top = stack.at(-1)!;
    const child = top.node.children?.[top.next++];
    if (!child) {
      stack.pop();
      const { name } = top.node;
      if (name === 'td' || name === 'th') put('\t');
      owed = Math.max(owed, breaksAround(name));
    } else if (child.type === 'text') {
      put(top.isPre ? child.data! : child.data!.replace(/[\s\u00a0]+/g, ' '));
    } else if (child.name === 'br') {
      out.push('\n');
    } else if (sizes.has(child) && !isLinkList(child, sizes.get(child)!)) {
      owed = Math.max(owed, breaksAround(child.name));
      if (child.name === 'li') put('- ');
      stack.push({ node: child, next: 0, isPre: top.isPre || child.name === 'pre' });
    }
  }
  return out.join('');
}

function isLinkList({ name }: TreeNode, { text, linkText, links }: Size): boolean {
  if (name !== 'ul' && name !== 'ol' && name !== 'table') return false;
  return links >= LINK_LIST.minLinks && linkText >= text * LINK_LIST.share;
}

function breaksAround(name = ''): number {
  return PARAGRAPHS.has(name) ? 2 : Number(BLOCKS.has(name));
}

/** No spaces at the ends of lines nor single ones at their heads, one blank line at most. */
function tidy(text: string): string {
  const lines = text.split('\n').map((line) => line.trimEnd().replace(/^ (?! )/, ''));
  const kept = lines.filter((line, index) => line !== '' || (index > 0 && lines[index - 1] !== ''));
  return kept.join('\n').trim();
}
