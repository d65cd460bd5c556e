"""A list of varied prompts for general-purpose models: what people ask for, in varied wording.

Prompts are composed from phrases that go together, kind by kind, so that none is nonsense; the
kinds, their sentences and their endings differ in form and length as captions of pictures do.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

SLOT = re.compile(r"\{(\w+)\}")
_SEED = 2024


def _split(text: str) -> tuple[str, ...]:
    """Split a block of phrases at its semicolons."""
    return tuple(" ".join(phrase.split()) for phrase in text.split(";"))


PHRASES: Mapping[str, Sequence[str]] = {
    "person": _split("""an old man; a young woman; a child; a girl with braids; a bearded sailor;
        a ballet dancer; a blacksmith; a nurse; a tired student; two sisters; a grandmother;
        a street musician; a mountaineer; a chef; a firefighter; a monk; a farmer; a toddler;
        a cyclist; a football player; a bride and groom; an astronaut; a knight in armour;
        a violinist; a boy in a yellow raincoat; three friends; a tailor; a crowd of commuters"""),
    "action": _split("""reading a newspaper; laughing; playing chess; waiting for a bus; running;
        holding an umbrella; drinking tea; looking into the distance; mending a net; asleep;
        carrying a basket of apples; writing a letter; dancing; taking a photograph; feeding birds;
        painting a fence; tying a shoe; singing; pushing a cart; climbing stairs; waving;
        talking on the phone; sitting cross-legged; jumping over a puddle"""),
    "place": _split("""in a park; at a railway station; on a beach; in a small kitchen;
        in a crowded market; on a rooftop; at the library; in a wheat field; on a snowy street;
        by a campfire; in a workshop; on a bridge; in the rain; in front of a shop window;
        on a wooden pier; at a bus stop; in an empty theatre; by a window; in a subway car"""),
    "animal": _split("""a black cat; a sleeping dog; a white horse; an elephant; a tiger; a fox;
        an owl; a heron; two parrots; a hedgehog; a humpback whale; a sea turtle; a jellyfish;
        a herd of deer; a flock of starlings; a brown bear; a squirrel; a frog; a lizard; a bee;
        a butterfly; a rooster; a camel; a goldfish; a wolf; a family of ducks; a snail; a giraffe;
        a kitten; an octopus; three penguins; a hummingbird; a goat; a peacock"""),
    "pose": _split("""seen from the side; looking at the camera; at rest; in motion; from above;
        with its young; drinking; among tall grass; in fog; at dawn; close up; in silhouette;
        half hidden by leaves; after the rain; in winter; under a full moon; in golden light"""),
    "thing": _split("""a brass lamp; a wooden chair; an open book; a violin; a pair of boots;
        an alarm clock; a teapot; a bicycle wheel; a glass bottle; a paper boat; a typewriter;
        a vase of tulips; a leather suitcase; a set of keys; a chess board; a globe; an old camera;
        a sewing machine; a candle; a straw hat; a broken mirror; a telescope; a toy robot;
        a pocket watch; a stack of letters; a hammer and nails; a wicker basket; an umbrella"""),
    "support": _split("""on a wooden table; on a white background; on a windowsill; on black cloth;
        in a museum case; on a workbench; on cobblestones; on a shelf; in a child's hand;
        against a brick wall; on the floor of an attic; on a marble counter; beside a plant"""),
    "many": _split("""two; three; four; five; six; a dozen; a pile of; several; a row of"""),
    "items": _split("""lemons; pencils; seashells; wooden blocks; coins; teacups; balloons; roses;
        feathers; buttons; eggs; spoons; stones; paint brushes; pine cones; lanterns; mushrooms"""),
    "food": _split("""a bowl of ramen; a loaf of bread; a slice of chocolate cake; grilled fish;
        a plate of pancakes with berries; a cup of coffee; a fruit salad; a cheese board; sushi;
        tomato soup; a roast chicken; an ice cream cone; a glass of milk; fried eggs; a taco"""),
    "building": _split("""a stone bridge; a ruined castle; a lighthouse; a wooden cabin; a temple;
        a glass skyscraper; a windmill; a village church; a row of town houses; a greenhouse;
        a factory with chimneys; a football stadium; a mosque; a petrol station; a barn; a pagoda;
        a spiral staircase; an abandoned hospital; a clock tower; a market hall; a tree house"""),
    "view": _split("""at night; at sunset; under heavy clouds; in the snow; covered in ivy;
        seen from the street; reflected in water; in bright noon light; in the fog; under repair;
        from a drone; behind bare trees; in early spring; lit by street lamps; on a hill"""),
    "vehicle": _split("""a red sports car; a steam train; a sailing boat; a rusty pickup truck;
        a hot air balloon; a yellow taxi; a container ship; a vintage motorcycle; a tram; a canoe;
        a jet airliner; a tractor; a police car; a bicycle; a helicopter; a caravan; a fire engine;
        a space rocket; a horse-drawn carriage; a submarine; a skateboard"""),
    "route": _split("""on a mountain road; in the harbour; crossing a desert; in heavy traffic;
        under a bridge; at full speed; parked by the kerb; in a cloud of dust; in a museum;
        on a country lane; above the clouds; leaving the station; in the rain; at the horizon"""),
    "land": _split("""a mountain lake; sand dunes; a birch forest; a rocky coast; a waterfall;
        rice terraces; a frozen river; a lavender field; a volcano; a canyon; a coral reef;
        rolling green hills; a swamp; an orchard in bloom; a glacier; a winding road; an island;
        a meadow of wild flowers; a cave; a vineyard; tall cliffs; a stormy sea"""),
    "sky": _split("""under a starry sky; at sunrise; before a thunderstorm; in autumn; in mist;
        with a rainbow; in the last light of the day; in deep snow; on a hot afternoon;
        with distant mountains; without a soul; under the northern lights; on a windy day"""),
    "room": _split("""a cosy living room; a modern kitchen; a dusty attic; a hospital corridor;
        a baroque ballroom; a child's bedroom; a study full of books; a train compartment;
        an empty classroom; a tiled bathroom; an artist's studio; a bar; a greenhouse; a cellar"""),
    "furnished": _split("""with large windows; with a green sofa; lit by candles; in the morning;
        with plants everywhere; seen through a doorway; with a piano; in pastel colours; in ruins;
        with a checkered floor; with a fireplace; with nobody in it; with a cat on the carpet"""),
    "fantasy": _split("""a dragon curled around a tower; a city on the back of a turtle;
        a robot watering flowers; a wizard in a library; a whale flying over rooftops;
        a castle of ice; a mermaid on a rock; an astronaut riding a horse; a talking tree;
        a door in the middle of a field; a dinosaur in a supermarket; a floating island;
        a fox in a suit; a market on the moon; a giant octopus and a ship"""),
    "pattern": _split("""leaves; overlapping circles; blue tiles; zigzag lines; tropical birds;
        tiny houses; waves; triangles; flowers and berries; stars; paisley; maps; fish scales"""),
    "colours": _split("""in teal and orange; in black and white; in pastel colours; in purple;
        in red and gold; in shades of green; in grey and yellow; in navy blue; in earth tones"""),
    "medium": _split("""an oil painting; a watercolour; a pencil sketch; a woodcut; a comic panel;
        a charcoal study; a children's book illustration; a vintage poster; a stained glass window;
        a mosaic; a low poly render; a pixel art picture; a tapestry; a chalk drawing; a linocut;
        a clay figure; a paper collage; a technical drawing; an ink drawing; a postcard"""),
    "shot": _split("""a photo; a close-up; a black and white photograph; a film still; a snapshot;
        a wide-angle photo; a portrait; a polaroid; a blurry photo; an aerial photograph;
        a macro photograph; a long exposure; a stock photo; an amateur photo; a picture"""),
    "ending": _split("""soft light; high contrast; shallow depth of field; 35mm film; minimal;
        highly detailed; dramatic shadows; muted colours; symmetrical composition; backlit;
        hand-drawn style; warm tones; from a low angle; fine line work; bird's-eye view; grainy;
        1970s; cinematic; studio lighting; lots of empty space; centred; rim light"""),
    "number": _split("""7; 12; 1958; 3; 24; 101; 64; 2; 1890; 33; 5; 16"""),
}

SUBJECTS = _split("""{person} {action}; {person} {action} {place}; {person} {place}; {person};
    {animal}; {animal} {pose}; {thing}; {thing} {support}; {thing} and {thing} {support};
    {many} {items}; {many} {items} {support}; {food}; {food} {support}; {building};
    {building} {view}; {vehicle} {route}; {vehicle}; {land}; {land} {sky}; {room};
    {room} {furnished}; {fantasy}; {animal} and {animal} {pose}; {person} with {animal} {place};
    {building} by {land} {sky}; {person} next to {vehicle}""")
_COMMON = _split("""{subject}; {subject}; {subject}; {shot} of {subject}; {medium} of {subject};
    {subject}, {ending}; {subject}, {ending}, {ending}; {medium} of {subject}, {ending};
    {shot} of {subject}, {ending}, {ending}""")
_RARE = _split("""{subject} as {medium} {colours}; seamless pattern of {pattern} {colours};
    logo with {animal} and {pattern} {colours}; {thing}, no. {number}, {ending};
    cover of a book about {subject}; {subject}. In the background {building} {view}.;
    {medium}: {person} {action} {place}, {animal} and {thing} beside them, {building} {view}
    in the background, {ending}, {ending}""")
SENTENCES = _COMMON * 2 + _RARE


def general_prompts(count: int) -> list[str]:
    """Compose `count` different prompts, the same ones each time."""
    draw = random.Random(_SEED)
    found: dict[str, None] = {}
    while len(found) < count:
        prompt = _compose_prompt(draw)
        words = re.findall(r"[a-z]{4,}", prompt)
        # A repeated word mostly means that one phrase was drawn twice.
        if len(set(words)) == len(words):
            found[prompt] = None
    return list(found)


def _compose_prompt(draw: random.Random) -> str:
    """Compose one prompt, filling slots until none is left."""
    text = _pick(draw, SENTENCES)
    while slot := SLOT.search(text):
        choices = SUBJECTS if slot[1] == "subject" else PHRASES[slot[1]]
        text = text[: slot.start()] + _pick(draw, choices) + text[slot.end() :]
    return text


def _pick(draw: random.Random, choices: Sequence[str]) -> str:
    # Only random() is promised to give the same numbers in every version of Python.
    return choices[int(draw.random() * len(choices))]
