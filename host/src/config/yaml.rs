//! From text to a tree of values with places. JSON is read by the same reader, being YAML.
//!
//! The tree is built from parser events rather than by a ready-made loader: so duplicate keys are seen, aliases are
//! counted before they are copied, and nesting is refused before it can exhaust the stack.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput, Tag};

use super::error::{ConfigError, quoted};
use super::node::{Data, Entry, Node, Spot, place_at, push_step};
use super::scalar::plain;

/// The longest text that is read.
pub(super) const MAX_TEXT_BYTES: usize = 8 << 20;
/// The deepest nesting; the reference needs eight.
const MAX_DEPTH: usize = 64;
/// What all values may cost together after aliases were copied, so that a small file cannot become a large tree.
const MAX_COST: usize = 64 << 20;
/// What one value costs beside its text.
const NODE_COST: usize = 64;

/// Reads one document. Errors that leave a usable tree come with it, others alone.
pub(super) fn read(
    file: &Arc<str>,
    text: &str,
) -> Result<(Node, Vec<ConfigError>), Vec<ConfigError>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::new(file);
    if text.len() > MAX_TEXT_BYTES {
        let start = reader.error(START, "the file is too large");
        return Err(vec![
            start
                .found(format!("{} bytes", text.len()))
                .expected(format!("at most {MAX_TEXT_BYTES} bytes")),
        ]);
    }
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let step = match event {
            Ok((event, span)) => reader.event(event, spot(span.start)),
            Err(e) => Err(reader
                .error(spot(*e.marker()), format!("not YAML or JSON: {}", e.info()))
                .advice("correct the syntax here or shortly before")),
        };
        if let Err(error) = step {
            reader.errors.push(error);
            return Err(reader.errors);
        }
        if reader.ended {
            break;
        }
    }
    match reader.root.take() {
        Some(root) if !matches!(root.data, Data::Null) => Ok((root, reader.errors)),
        _ => Err(vec![
            reader
                .error(START, "the file is empty")
                .expected("a map that begins with \"format: 1\""),
        ]),
    }
}

const START: Spot = Spot { line: 1, column: 1 };

/// A list or map that is still open.
enum Frame {
    List {
        node: Node,
        anchor: usize,
    },
    Map {
        node: Node,
        anchor: usize,
        /// The key whose value comes next.
        pending: Option<(String, Spot)>,
        seen: HashSet<String>,
    },
}

struct Reader<'a> {
    file: &'a Arc<str>,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    cost: usize,
    root: Option<Node>,
    errors: Vec<ConfigError>,
    /// Whether the stream is over. A parser that goes on after that has nothing to say.
    ended: bool,
}

impl<'a> Reader<'a> {
    fn new(file: &'a Arc<str>) -> Self {
        Self {
            file,
            frames: Vec::new(),
            anchors: HashMap::new(),
            cost: 0,
            root: None,
            errors: Vec::new(),
            ended: false,
        }
    }

    fn event(&mut self, event: Event<'_>, at: Spot) -> Result<(), ConfigError> {
        match event {
            Event::StreamEnd => {
                self.ended = true;
                Ok(())
            }
            Event::DocumentStart(_) if self.root.is_some() => Err(self
                .error(at, "a second document begins here")
                .advice("keep one document in a file")),
            Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing | Event::StreamStart => {
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::Scalar(text, style, anchor, tag) => {
                if self.key_is_due() {
                    return self.begin_entry(text.into_owned(), at);
                }
                let data = self.scalar(text.into_owned(), style, tag.as_deref(), at)?;
                self.close(Node::new(at, data), anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                let node = self.open(tag.as_deref(), Data::List(Vec::new()), at)?;
                self.frames.push(Frame::List { node, anchor });
                Ok(())
            }
            Event::MappingStart(anchor, tag) => {
                let node = self.open(tag.as_deref(), Data::Map(Vec::new()), at)?;
                self.frames.push(Frame::Map {
                    node,
                    anchor,
                    pending: None,
                    seen: HashSet::new(),
                });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => match self.frames.pop() {
                Some(Frame::List { node, anchor } | Frame::Map { node, anchor, .. }) => {
                    self.close(node, anchor)
                }
                None => Ok(()),
            },
        }
    }

    /// Whether a map is open that waits for its next key.
    fn key_is_due(&self) -> bool {
        matches!(self.frames.last(), Some(Frame::Map { pending: None, .. }))
    }

    fn begin_entry(&mut self, text: String, at: Spot) -> Result<(), ConfigError> {
        self.pay(text.len() + NODE_COST, at)?;
        if let Some(Frame::Map { pending, .. }) = self.frames.last_mut() {
            *pending = Some((text, at));
        }
        Ok(())
    }

    fn open(&mut self, tag: Option<&Tag>, data: Data, at: Spot) -> Result<Node, ConfigError> {
        if let Some(tag) = tag {
            return Err(self.foreign_tag(tag, at));
        }
        if self.key_is_due() {
            return Err(self.error(at, "a list or map cannot be a key"));
        }
        if self.frames.len() >= MAX_DEPTH {
            return Err(self.too_deep(at));
        }
        self.pay(NODE_COST, at)?;
        Ok(Node::new(at, data))
    }

    /// Hands a finished value to the list or map that is open.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), ConfigError> {
        if anchor != 0 {
            self.pay(measure(&node).0, node.at)?;
            self.anchors.insert(anchor, node.clone());
        }
        match &node.data {
            Data::Text(text) => self.pay(text.len() + NODE_COST, node.at)?,
            Data::List(_) | Data::Map(_) => {}
            _ => self.pay(NODE_COST, node.at)?,
        }
        match self.frames.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List { node: list, .. }) => {
                if let Data::List(items) = &mut list.data {
                    items.push(node);
                }
            }
            Some(Frame::Map {
                node: map,
                pending,
                seen,
                ..
            }) => {
                let Some((key, at)) = pending.take() else {
                    return Err(self.error(node.at, "a list or map cannot be a key"));
                };
                if !seen.insert(key.clone()) {
                    self.duplicate(&key, at);
                } else if let Data::Map(entries) = &mut map.data {
                    entries.push(Entry {
                        key,
                        at,
                        value: node,
                    });
                }
            }
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, at: Spot) -> Result<(), ConfigError> {
        let Some(target) = self.anchors.get(&anchor) else {
            return Err(self
                .error(at, "an alias inside the value that it names")
                .advice("write the value out"));
        };
        let (cost, depth) = measure(target);
        if self.frames.len() + depth > MAX_DEPTH {
            return Err(self.too_deep(at));
        }
        self.pay(cost, at)?;
        let Some(mut copy) = self.anchors.get(&anchor).cloned() else {
            return Ok(());
        };
        copy.at = at;
        if self.key_is_due()
            && let Data::Text(key) = copy.data
        {
            return self.begin_entry(key, at);
        }
        self.close(copy, 0)
    }

    fn scalar(
        &self,
        text: String,
        style: ScalarStyle,
        tag: Option<&Tag>,
        at: Spot,
    ) -> Result<Data, ConfigError> {
        match tag {
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Ok(Data::Text(text)),
            Some(tag) => Err(self.foreign_tag(tag, at)),
            None if style != ScalarStyle::Plain => Ok(Data::Text(text)),
            None => plain(text).map_err(|text| {
                self.error(at, "a number that cannot be kept exactly")
                    .found(quoted(&text))
                    .advice("write it in quotes if it is a text")
            }),
        }
    }

    fn pay(&mut self, cost: usize, at: Spot) -> Result<(), ConfigError> {
        self.cost = self.cost.saturating_add(cost);
        if self.cost > MAX_COST {
            return Err(self
                .error(at, "the values of the file grow too large")
                .advice("use fewer aliases or write a smaller file"));
        }
        Ok(())
    }

    fn duplicate(&mut self, key: &str, at: Spot) {
        let mut path = self.path();
        push_step(&mut path, key, false);
        let problem = "the key stands here twice";
        let error = ConfigError::new(place_at(self.file, at, path), problem);
        self.errors.push(error.advice("remove one of the two"));
    }

    fn too_deep(&self, at: Spot) -> ConfigError {
        self.error(
            at,
            format!("lists and maps are nested deeper than {MAX_DEPTH} levels"),
        )
    }

    fn foreign_tag(&self, tag: &Tag, at: Spot) -> ConfigError {
        self.error(at, "tags are not supported")
            .found(quoted(&if tag.is_yaml_core_schema() {
                format!("!!{}", tag.suffix)
            } else {
                format!("{}{}", tag.handle, tag.suffix)
            }))
            .advice("remove the tag")
    }

    fn error(&self, at: Spot, problem: impl Into<String>) -> ConfigError {
        ConfigError::new(place_at(self.file, at, self.path()), problem)
    }

    /// The path of the value that is being read.
    fn path(&self) -> String {
        let mut path = String::new();
        for frame in &self.frames {
            match frame {
                Frame::List { node, .. } => {
                    if let Data::List(items) = &node.data {
                        push_step(&mut path, &items.len().to_string(), true);
                    }
                }
                Frame::Map { pending, .. } => {
                    if let Some((key, _)) = pending {
                        push_step(&mut path, key, false);
                    }
                }
            }
        }
        path
    }
}

fn spot(marker: Marker) -> Spot {
    Spot {
        line: marker.line().max(1),
        column: marker.col() + 1,
    }
}

/// What copying a value costs, and how many levels it has.
fn measure(node: &Node) -> (usize, usize) {
    let fold = |children: &mut dyn Iterator<Item = (usize, &Node)>| {
        children.fold((NODE_COST, 1), |(cost, depth), (key, child)| {
            let (c, d) = measure(child);
            (cost.saturating_add(c).saturating_add(key), depth.max(d + 1))
        })
    };
    match &node.data {
        Data::List(items) => fold(&mut items.iter().map(|item| (0, item))),
        Data::Map(entries) => fold(
            &mut entries
                .iter()
                .map(|entry| (NODE_COST + entry.key.len(), &entry.value)),
        ),
        Data::Text(text) => (NODE_COST + text.len(), 1),
        _ => (NODE_COST, 1),
    }
}
